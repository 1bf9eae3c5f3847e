"""The ordered record of a session as ATIF, the Agent Trajectory Interchange Format."""

import json
from typing import Any

from codexsys_agent import __version__
from codexsys_agent.brief import Brief
from codexsys_agent.session import Session

_SOURCES = {"system": "system", "user": "user", "assistant": "agent"}


def trajectory(brief: Brief, session: Session) -> dict[str, Any]:
    """The whole session as one ATIF-v1.4 document."""
    outputs = {
        message["tool_call_id"]: message["content"]
        for message in session.messages
        if message["role"] == "tool"
    }
    steps: list[dict[str, Any]] = []
    for message, note in zip(session.messages, session.notes, strict=True):
        if message["role"] in _SOURCES:
            steps.append(_step(len(steps) + 1, message, note, outputs))
    return {
        "schema_version": "ATIF-v1.4",
        "session_id": f"{brief.task_id or 'task'}-{brief.attempt}",
        "agent": {
            "name": f"codexsys-{brief.engine}",
            "version": __version__,
            "model_name": brief.model,
        },
        "steps": steps,
        "final_metrics": {
            "total_prompt_tokens": session.prompt_tokens,
            "total_completion_tokens": session.completion_tokens,
            "total_cached_tokens": session.cached_tokens,
            "total_steps": len(steps),
        },
    }


def _step(
    number: int, message: dict[str, Any], note: dict[str, Any], outputs: dict[str, str]
) -> dict[str, Any]:
    step: dict[str, Any] = {
        "step_id": number,
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
