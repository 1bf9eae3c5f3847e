"""What a run came to: its result as one object, and its exit code."""

import hashlib
from pathlib import Path
from typing import Any

from codexsys_cli.downloads import inside
from codexsys_cli.foreground.mail import mail
from codexsys_cli.foreground.order import Order
from codexsys_cli.output import Exit
from codexsys_client import Client, Task

DIFF, COMMIT = "diff.patch", "commit.patch"
_LONGEST_PATCH = 256 << 10
_BY_CATEGORY = {
    "network": Exit.FAILURE,
    "system": Exit.FAILURE,
    "user": Exit.USAGE,
    "auth": Exit.NOT_FOUND,
    "limit": Exit.TIMED_OUT,
}


def exit_of(task: Task, *, require_verified: bool) -> Exit:
    """Return the exit code of a finished task, by what kind of reason it ended for."""
    if task["status"] == "succeeded":
        wanted = task["verdict"] == "verified" or task["mode"] == "explain"
        return Exit.NOT_SUCCEEDED if require_verified and not wanted else Exit.OK
    reason = task["end_reason"]
    if task["status"] == "cancelled" or reason is None:
        return Exit.NOT_SUCCEEDED
    return _BY_CATEGORY.get(reason["category"], Exit.NOT_SUCCEEDED)


def hand_out(client: Client, task: Task, order: Order) -> list[dict[str, Any]]:
    """Write the task's files to the folder; return what they are."""
    names = [artifact["name"] for artifact in client.artifacts(task["id"])]
    for name in names:
        client.download(task["id"], name, inside(order.out, name))
    if task["diff"] and order.git_email and DIFF in names:
        change = mail(order, task, (order.out / DIFF).read_bytes())
        (order.out / COMMIT).write_bytes(change)
        names.append(COMMIT)
    return [_told(order.out, name) for name in names]


def patch_text(out: Path) -> str | None:
    """Return the change for whoever has no more than the log; None when it is large, or no text."""
    try:
        patch = (out / DIFF).read_bytes()
        return patch.decode() if len(patch) <= _LONGEST_PATCH else None
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _told(out: Path, name: str) -> dict[str, Any]:
    data = (out / name).read_bytes()
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def result_of(
    task: Task, *, named: str, sandbox: str, out: Path, files: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the result as it goes to standard output; `named` is the id that the task has outside."""
    kept = ("status", "verdict", "end_reason", "mode", "model", "checks", "diff", "plan", "usage")
    return {
        "v": 1,
        "task_id": named,
        "id": task["id"],
        **{name: task[name] for name in kept},  # type: ignore[literal-required]
        "sandbox": sandbox,
        "isolated": sandbox != "none",
        "out": str(out),
        "files": files,
    }
