"""The tools a model is offered, and the running of one call."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codexsys_agent.brief import Mode
from codexsys_agent.chat import Call
from codexsys_agent.files import Files, ToolError, clip
from codexsys_agent.shell import run_command
from codexsys_agent.stop import Stop

_LONGEST_COMMAND = 600.0
_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_SUMMARY = {
    "modify": "what was changed and why",
    "explain": "the whole answer in Markdown, with file:line references",
}


@dataclass(frozen=True, slots=True)
class Done:
    """What one tool call came to."""

    output: str
    ok: bool
    seconds: float
    finish: dict[str, Any] | None = None


def _tool(name: str, about: str, properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
    return {
        "type": "function",
        "function": {"name": name, "description": about, "parameters": parameters},
    }


def offered(mode: Mode, command_seconds: float) -> list[dict[str, Any]]:
    """The definitions for a mode; an explanation changes no files."""
    bash = (
        "Run a command with bash -c in the repository root. No state is kept between calls. "
        "Non-interactive only. stdout and stderr together, clipped to 10k characters."
    )
    timeout = {**_WHOLE, "description": f"seconds, default {command_seconds:.0f}, at most 600"}
    tools = [
        _tool("bash", bash, {"command": _TEXT, "timeout": timeout}, ["command"]),
        _tool(
            "read",
            "Read a text file with line numbers, 400 lines a page, or list a folder.",
            {"path": _TEXT, "start": _WHOLE, "end": _WHOLE},
            ["path"],
        ),
    ]
    return tools + (_changing() if mode == "modify" else []) + [_finish(mode)]


def _changing() -> list[dict[str, Any]]:
    edit = (
        "Replace old with new in a file. old must be copied exactly from the file and occur "
        "once; add lines of context until it does."
    )
    return [
        _tool("edit", edit, {"path": _TEXT, "old": _TEXT, "new": _TEXT}, ["path", "old", "new"]),
        _tool(
            "write",
            "Create a file or replace it whole.",
            {"path": _TEXT, "content": _TEXT},
            ["path", "content"],
        ),
    ]


def _finish(mode: Mode) -> dict[str, Any]:
    criteria = {
        "type": "array",
        "items": _TEXT,
        "description": "one line per acceptance criterion: met or not, and the evidence",
    }
    properties = {
        "status": {"type": "string", "enum": ["done", "blocked"]},
        "summary": {**_TEXT, "description": _SUMMARY[mode]},
        **({"criteria": criteria} if mode == "modify" else {}),
    }
    return _tool("finish", "End the task.", properties, ["status", "summary"])


class Tools:
    """Runs the calls of one task's model."""

    def __init__(
        self,
        *,
        code: Path,
        env: Mapping[str, str],
        mode: Mode,
        command_seconds: float,
        stop: Stop,
    ) -> None:
        self._code = code
        self._env = env
        self._command_seconds = command_seconds
        self._stop = stop
        self.definitions = offered(mode, command_seconds)
        files = Files(code)
        known: dict[str, Callable[..., str]] = {
            "read": files.read,
            "edit": files.edit,
            "write": files.write,
        }
        names = [tool["function"]["name"] for tool in self.definitions]
        self._files = {name: known[name] for name in names if name in known}
        self._names = names

    def run(self, call: Call, *, remaining: float) -> Done:
        """Run one call; a failure is an output that starts with `error:`."""
        started = time.monotonic()
        finish = None
        try:
            arguments = _arguments(call.arguments)
            if call.name == "finish":
                finish = _checked_finish(arguments)
                output = "ok"
            else:
                output = self._dispatch(call.name, arguments, remaining)
            ok = True
        except (ToolError, TypeError, OSError, ValueError) as error:
            output, ok = f"error: {error}", False
        return Done(output, ok, time.monotonic() - started, finish)

    def _dispatch(self, name: str, arguments: dict[str, Any], remaining: float) -> str:
        if name == "bash":
            return self._bash(remaining, **arguments)
        if name not in self._files:
            raise ToolError(f"there is no tool {name!r}; the tools are {', '.join(self._names)}")
        return self._files[name](**arguments)

    def _bash(self, remaining: float, command: str, timeout: float | None = None) -> str:
        wanted = float(timeout) if timeout else self._command_seconds
        finished = run_command(
            ["bash", "-c", command],
            cwd=self._code,
            env=self._env,
            timeout=max(1.0, min(wanted, _LONGEST_COMMAND, remaining)),
            stop=self._stop,
        )
        return f"exit {finished.code}\n{clip(finished.output) or '(no output)'}"


def _arguments(raw: str) -> dict[str, Any]:
    try:
        arguments = json.loads(raw or "{}")
    except ValueError as error:
        raise ToolError(f"the arguments are not JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ToolError("the arguments are not a JSON object")
    return arguments


def _checked_finish(arguments: dict[str, Any]) -> dict[str, Any]:
    summary = arguments.get("summary")
    if not isinstance(summary, str) or not summary.strip():
        raise ToolError("finish needs a summary")
    criteria = arguments.get("criteria") or []
    return {
        "status": "blocked" if arguments.get("status") == "blocked" else "done",
        "summary": summary,
        "criteria": [str(item) for item in criteria] if isinstance(criteria, list) else [],
    }
