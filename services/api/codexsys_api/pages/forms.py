"""Turns the submit form into the body of `POST /tasks`, and its errors back into the form's fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any


def _decimal(given: str) -> float:
    """Read a number that JSON has, too."""
    value = float(given)
    if not isfinite(value):
        raise ValueError(given)
    return value


LIMITS: Mapping[str, Callable[[str], int | float]] = {
    "cost_usd": _decimal,
    "wall_seconds": int,
    "calls": int,
    "steps": int,
    "tokens": int,
    "attempts": int,
    "verify_rounds": int,
    "setup_seconds": int,
    "checks_seconds": int,
}
TEMPLATES = (
    ("Fix a bug", "modify", "What happens:\n\nWhat should happen:\n\nHow to see it:"),
    ("Add a feature", "modify", "Add:\n\nIt is done when:\n\nOut of scope:"),
    (
        "Write tests",
        "modify",
        "Write tests for:\n\nCases that matter:\n\nDo not change the code itself.",
    ),
    ("Upgrade a dependency", "modify", "Upgrade:\n\nFrom and to:\n\nKeep working:"),
    ("Explain the code", "explain", "Explain:\n\nFor whom:"),
)
"""Beginnings of prompts: name, mode, words."""
_POINTERS = {
    "/source/git/url": "url",
    "/source/git/ref": "ref",
    "/source/git": "url",
    "/source/task": "task",
    "/source/zip": "file",
    "/source": "source",
    "/file": "file",
    "/checks/command": "command",
    "/checks/strategy": "strategy",
    "/checks/may_change": "may_change",
}


def _limits(form: Mapping[str, str], errors: dict[str, str]) -> dict[str, int | float]:
    found: dict[str, int | float] = {}
    for name, read in LIMITS.items():
        given = form.get(name, "").strip().replace(",", "")
        try:
            if given:
                found[name] = read(given)
        except ValueError:
            errors[name] = f"“{given}” is not a number."
    return found


def _labels(given: str, errors: dict[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for label in filter(None, (part.strip() for part in given.split(","))):
        key, equals, value = label.partition("=")
        if not equals or not key.strip():
            errors["labels"] = f"“{label}” is not of the form key=value."
        found[key.strip()] = value.strip()
    return found


def _source(form: Mapping[str, str], errors: dict[str, str]) -> dict[str, Any] | None:
    kind = form.get("source", "git")
    if kind == "zip" and (sent := form.get("upload", "").strip()):
        return {"zip": {"upload_id": sent}}
    name = {"git": "url", "task": "task"}.get(kind)
    if name is None:
        return None
    given = form.get(name, "").strip()
    if not given:
        errors[name] = (
            "Say where the code is." if kind == "git" else "Say which task to carry on from."
        )
    if kind == "task":
        return {"task": given}
    ref = form.get("ref", "").strip()
    return {"git": {"url": given} | ({"ref": ref} if ref else {})}


def to_create_body(form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Give the create body and the errors by field; a zip's body has no `source`, its file is a part."""
    errors: dict[str, str] = {}
    if not form.get("prompt", "").strip():
        errors["prompt"] = "Say what should be done."
    body: dict[str, Any] = {"prompt": form.get("prompt", "").replace("\r\n", "\n")}
    if source := _source(form, errors):
        body["source"] = source
    for name in ("mode", "engine", "model", "environment", "clarify"):
        if given := form.get(name, "").strip():
            body[name] = given
    may_change = [line.strip() for line in form.get("may_change", "").splitlines() if line.strip()]
    checks = {name: form.get(name, "").strip() for name in ("command", "strategy")}
    given_checks = {name: value for name, value in checks.items() if value}
    if given_checks or may_change:
        body["checks"] = given_checks | ({"may_change": may_change} if may_change else {})
    if limits := _limits(form, errors):
        body["limits"] = limits
    if labels := _labels(form.get("labels", ""), errors):
        body["labels"] = labels
    return body, errors


def field_of(pointer: str) -> str:
    """Name the form field that a JSON pointer of a problem speaks of; `""` for the form as a whole."""
    for start, field in _POINTERS.items():
        if pointer == start or pointer.startswith(start + "/"):
            return field
    head, _, rest = pointer.removeprefix("/").partition("/")
    return rest.partition("/")[0] if head == "limits" else head


def errors_by_field(problem: Mapping[str, Any]) -> dict[str, str]:
    """Sort the errors of a problem by form field; a problem without any stands for the whole form."""
    found = {field_of(each["pointer"]): str(each["detail"]) for each in problem.get("errors") or ()}
    return found or {"": str(problem.get("detail") or problem.get("title") or "It was refused.")}
