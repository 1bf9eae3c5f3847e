"""A finished task in words: verdict, evidence, reason, links."""

from typing import Any

from rich.console import Console
from rich.syntax import Syntax
from rich.text import Text

from codexsys_client import Task

_STYLES = {"verified": "bold green", "succeeded": "green", "unverified": "bold yellow"}


def summary(task: Task) -> list[str]:
    """Return what to say about a finished task, a line each."""
    lines = []
    reason = task["end_reason"]
    if reason is not None and task["verdict"] != "verified":
        lines.append(f"{reason['code']}: {reason['cause']}")
        if reason.get("detail"):
            lines.append(reason["detail"])
        if reason["next"]:
            lines.append(f"What to do: {reason['next']}")
    checks = task["checks"]
    evidence = checks.get("evidence") or {}
    lines += [str(sentence) for sentence in evidence.get("sentences", [])]
    if checks["command"] and (checks["before"] or checks["after"]):
        found = f" (found in {place})" if (place := evidence.get("found_in")) else ""
        lines.append(f"Checks: {checks['command']}{found}")
        lines += [f"  {when}: {_counts(found)}" for when, found in _runs(task)]
    lines += [f"  fixed: {name}" for name in evidence.get("fixed", [])]
    lines += [f"  broken: {name}" for name in evidence.get("broken", [])]
    lines += [f"  look at: {_flag(flag)}" for flag in evidence.get("flags", [])]
    lines += [f"  {note}" for note in evidence.get("looked", [])]
    diff = task["diff"]
    if diff is not None:
        files = "1 file" if diff["files"] == 1 else f"{diff['files']} files"
        lines.append(f"Change: {files}, +{diff['insertions']} -{diff['deletions']}")
    return lines


def show(console: Console, task: Task) -> None:
    """Print a finished task."""
    word = task["verdict"] or task["status"]
    console.print(Text(f"{task['id']}: {word}", style=_STYLES.get(word, "bold red")))
    for line in summary(task):
        console.print(Text(f"  {line}"))


def show_diff(console: Console, diff: str) -> None:
    """Print a diff, in colours where there are any."""
    if console.is_terminal and not console.no_color:
        console.print(Syntax(diff, "diff", background_color="default"))
    else:
        console.print(Text(diff), end="")


def _flag(flag: dict[str, Any]) -> str:
    place = f"{flag['path']}:{flag['line']}" if flag["line"] else flag["path"]
    return f"{flag['says']} ({place})" if place else str(flag["says"])


def _runs(task: Task) -> list[tuple[str, dict[str, int]]]:
    checks = task["checks"]
    runs = (("before", checks["before"]), ("after", checks["after"]))
    return [(when, found) for when, found in runs if found]


def _counts(found: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in found.items())
