"""The tools that a model is offered, as it is told of them."""

from dataclasses import dataclass
from typing import Any

from codexsys_agent.brief import Mode

_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_WHOLE = {"type": "integer"}
_SUMMARY = {
    "modify": "what was changed and why",
    "explain": "the whole answer in Markdown, with file:line references",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What decides which tools there are."""

    mode: Mode
    command_seconds: float
    may_ask: bool = False
    """Whether a person has said that they can be asked."""
    allowed: tuple[str, ...] | None = None
    """Programs that bash may run; None: all."""
    criteria: int = 0
    """Acceptance criteria, each of which finish must answer."""


def offered(offer: Offer) -> list[dict[str, Any]]:
    """The definitions; an explanation changes no files and asks nothing."""
    bash = (
        "Run a command with bash -c in the repository root. No state is kept between calls. "
        "Non-interactive only. stdout and stderr together, clipped to 10k characters."
    )
    if offer.allowed is not None:
        bash += f" Allowed programs only, named plainly: {', '.join(offer.allowed) or 'none'}."
    timeout = {
        **_WHOLE,
        "description": f"seconds, default {offer.command_seconds:.0f}, at most 600",
    }
    tools = [
        _tool("bash", bash, {"command": _TEXT, "timeout": timeout}, ["command"]),
        _tool(
            "read",
            "Read a text file with line numbers, 400 lines a page, or list a folder.",
            {"path": _TEXT, "start": _WHOLE, "end": _WHOLE},
            ["path"],
        ),
    ]
    if offer.mode == "modify":
        tools += [*_changing(), _plan(), *([_ask()] if offer.may_ask else [])]
    return [*tools, _finish(offer)]


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


def _plan() -> dict[str, Any]:
    about = (
        "Show people what you are going to do. Call it once you know, where it takes more than "
        "one change, and again when steps are done; it replaces the earlier plan."
    )
    step = {
        "type": "object",
        "properties": {"step": _TEXT, "done": {"type": "boolean"}},
        "required": ["step", "done"],
        "additionalProperties": False,
    }
    properties = {
        "steps": {"type": "array", "items": step, "description": "the changes, in order"},
        "files": {**_TEXTS, "description": "files that will change"},
        "tests": {**_TEXTS, "description": "how it will be shown that it works"},
    }
    return _tool("plan", about, properties, ["steps"])


def _ask() -> dict[str, Any]:
    about = (
        "Ask the person who wants this, where the outcome depends on something that neither the "
        "task nor the repository tells. Work stops until it is answered, which may take hours: "
        "look first, ask about what is wanted and never about where things are."
    )
    properties = {
        "question": _TEXT,
        "options": {**_TEXTS, "description": "answers to choose from, if there are any"},
        "default": {**_TEXT, "description": "what to do when nobody answers in time"},
    }
    return _tool("ask_user", about, properties, ["question", "default"])


def _finish(offer: Offer) -> dict[str, Any]:
    count = f" ({offer.criteria} of them)" if offer.criteria else ""
    criteria = {
        **_TEXTS,
        "description": f"one line per acceptance criterion{count}: met or not, and the evidence",
    }
    properties = {
        "status": {"type": "string", "enum": ["done", "blocked"]},
        "summary": {**_TEXT, "description": _SUMMARY[offer.mode]},
        **({"criteria": criteria} if offer.mode == "modify" else {}),
    }
    return _tool("finish", "End the task.", properties, ["status", "summary"])
