"""The ordered record of a session as ATIF, the Agent Trajectory Interchange Format."""

import json
from pathlib import Path
from typing import Any

from codexsys_agent import __version__
from codexsys_agent.brief import Brief
from codexsys_agent.session import Session

_SOURCES = {"system": "system", "user": "user", "assistant": "agent"}
_COUNTED = ("prompt_tokens", "completion_tokens", "cached_tokens")


def trajectory(brief: Brief, session: Session) -> dict[str, Any]:
    """The whole session as one ATIF-v1.4 document."""
    outputs = {
        message["tool_call_id"]: message["content"]
        for message in session.messages
        if message["role"] == "tool"
    }
    steps = list(session.past)
    for message, note in zip(session.messages, session.notes, strict=True):
        if message["role"] in _SOURCES:
            steps.append(_step(message, note, outputs))
    if not steps:  # no model was asked; the format wants one step at least
        steps.append({"source": "user", "message": brief.prompt})
    return {
        "schema_version": "ATIF-v1.4",
        "session_id": f"{brief.task_id or 'task'}-{brief.attempt}",
        "agent": {
            "name": f"codexsys-{brief.engine}",
            "version": __version__,
            "model_name": brief.model,
        },
        "steps": [{**step, "step_id": number} for number, step in enumerate(steps, 1)],
        "final_metrics": {
            **{f"total_{name}": _total(steps, name) for name in _COUNTED},
            "total_steps": len(steps),
        },
    }


def recorded_steps(file: Path) -> list[dict[str, Any]]:
    """The steps of a record that was collected from a sandbox; none where it is none."""
    try:
        record = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    steps = record.get("steps") if isinstance(record, dict) else None
    return [each for each in steps if isinstance(each, dict)] if isinstance(steps, list) else []


def _total(steps: list[dict[str, Any]], name: str) -> int:
    metrics = [each for step in steps if isinstance(each := step.get("metrics"), dict)]
    return sum(count for each in metrics if isinstance(count := each.get(name), int))


def _step(message: dict[str, Any], note: dict[str, Any], outputs: dict[str, str]) -> dict[str, Any]:
    step: dict[str, Any] = {
        "source": _SOURCES[message["role"]],
        "message": message.get("content") or "",
    }
    if note.get("at"):
        step["timestamp"] = note["at"]
    if note.get("metrics"):
        step["metrics"] = note["metrics"]
    calls = message.get("tool_calls") or []
    if calls:
        step["tool_calls"] = [_call(call) for call in calls]
        results = [
            {"source_call_id": call["id"], "content": outputs[call["id"]]}
            for call in calls
            if call["id"] in outputs
        ]
        step["observation"] = {"results": results}
    return step


def _call(call: dict[str, Any]) -> dict[str, Any]:
    arguments = json.loads(call["function"]["arguments"])
    if not isinstance(arguments, dict):
        arguments = {"value": arguments}
    return {
        "tool_call_id": call["id"],
        "function_name": call["function"]["name"],
        "arguments": arguments,
    }
