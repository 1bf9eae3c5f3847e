"""What a model says with the tools that change no file: its plan, its question, its end; each checked."""

from typing import Any

from codexsys_agent.files import ToolError

_MOST_STEPS = 40
_MOST_NAMES = 50
_MOST_OPTIONS = 10
_LONGEST = 500
_LONGEST_QUESTION = 4000


def checked_plan(arguments: dict[str, Any]) -> dict[str, Any]:
    """A plan as its event and the task's row have it."""
    steps = arguments.get("steps")
    if not isinstance(steps, list) or not steps:
        raise ToolError('plan needs steps, a list of {"step": "...", "done": false}')
    return {
        "steps": [_step(each) for each in steps[:_MOST_STEPS]],
        "files": _lines(arguments.get("files")),
        "tests": _lines(arguments.get("tests")),
    }


def checked_question(arguments: dict[str, Any]) -> dict[str, Any]:
    """A question as the platform takes it."""
    text = arguments.get("question")
    if not isinstance(text, str) or not text.strip():
        raise ToolError("ask_user needs a question")
    default = arguments.get("default")
    known = isinstance(default, str) and default.strip()
    return {
        "text": text.strip()[:_LONGEST_QUESTION],
        "options": _lines(arguments.get("options"))[:_MOST_OPTIONS],
        "default": str(default).strip()[:_LONGEST] if known else None,
    }


def checked_finish(arguments: dict[str, Any], *, criteria: int) -> dict[str, Any]:
    """An end; work that is called done answers each acceptance criterion."""
    summary = arguments.get("summary")
    if not isinstance(summary, str) or not summary.strip():
        raise ToolError("finish needs a summary")
    status = "blocked" if arguments.get("status") == "blocked" else "done"
    given = arguments.get("criteria")
    answers = [str(item) for item in given] if isinstance(given, list) else []
    if status == "done" and len(answers) < criteria:
        raise ToolError(
            f"criteria has {len(answers)} of {criteria} answers; give one line for each of AC-1 to "
            f"AC-{criteria}: met or not, and the evidence"
        )
    return {"status": status, "summary": summary, "criteria": answers}


def _step(given: object) -> dict[str, Any]:
    told = given if isinstance(given, dict) else {"step": given}
    text = str(told.get("step") or "").strip()
    if not text:
        raise ToolError('a step of the plan is {"step": "...", "done": false}')
    return {"step": text[:_LONGEST], "done": told.get("done") is True}


def _lines(given: object) -> list[str]:
    items = given if isinstance(given, list) else []
    return [str(each).strip()[:_LONGEST] for each in items[:_MOST_NAMES] if str(each).strip()]
