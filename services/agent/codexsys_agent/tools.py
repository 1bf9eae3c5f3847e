"""Running the tool calls of one task's model."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codexsys_agent.allowed import must_be_allowed
from codexsys_agent.chat import Call
from codexsys_agent.files import Files, ToolError, clip
from codexsys_agent.instructions import Nested
from codexsys_agent.offers import Offer, offered
from codexsys_agent.shell import run_command
from codexsys_agent.stop import Stop
from codexsys_agent.words import checked_finish, checked_plan, checked_question

_LONGEST_COMMAND = 600.0


@dataclass(frozen=True, slots=True)
class Done:
    """What one tool call came to."""

    output: str
    ok: bool
    seconds: float
    said: dict[str, Any] | None = None
    """What plan, ask_user or finish told the platform."""


class Tools:
    """Runs the calls of one task's model."""

    def __init__(
        self, *, code: Path, env: Mapping[str, str], offer: Offer, stop: Stop, nested: Nested
    ) -> None:
        self._code = code
        self._env = env
        self._offer = offer
        self._stop = stop
        self._nested = nested
        self.definitions = offered(offer)
        files = Files(code)
        known: dict[str, Callable[..., str]] = {
            "read": files.read,
            "edit": files.edit,
            "write": files.write,
        }
        self._names = [tool["function"]["name"] for tool in self.definitions]
        self._files = {name: known[name] for name in self._names if name in known}
        words: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "plan": checked_plan,
            "ask_user": checked_question,
            "finish": lambda told: checked_finish(told, criteria=offer.criteria),
        }
        self._words = {name: words[name] for name in self._names if name in words}

    def run(self, call: Call, *, remaining: float) -> Done:
        """Run one call; a failure is an output that starts with `error:`."""
        started = time.monotonic()
        said = None
        try:
            arguments = _arguments(call.arguments)
            if call.name in self._words:
                said = self._words[call.name](arguments)
                output = "ok"
            else:
                output = self._dispatch(call.name, arguments, remaining)
            ok = True
        except (ToolError, TypeError, OSError, ValueError) as error:
            output, ok = f"error: {error}", False
        return Done(output, ok, time.monotonic() - started, said)

    def _dispatch(self, name: str, arguments: dict[str, Any], remaining: float) -> str:
        if name == "bash":
            return self._bash(remaining, **arguments)
        if name not in self._files:
            raise ToolError(f"there is no tool {name!r}; the tools are {', '.join(self._names)}")
        output = self._files[name](**arguments)
        return output + self._nested.first_met(str(arguments.get("path", "")))

    def _bash(self, remaining: float, command: str, timeout: float | None = None) -> str:
        must_be_allowed(command, self._offer.allowed)
        wanted = float(timeout) if timeout else self._offer.command_seconds
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
