"""How a phase ended, from what its first process says of it."""

from typing import Any

_KILLED = 128 + 9


def judged(end: dict[str, Any], *, full: bool) -> dict[str, Any]:
    """Give a limit as the reason where one explains how the program ended; full: its disk is."""
    code, words = end.get("exit_code"), end.pop("words", "")
    refused, oom = end.pop("refused", 0), bool(end.get("oom_killed"))
    end.pop("code", None)
    if not code:
        return end
    more = {"oom_killed": oom, "detail": words}
    if code == _KILLED and oom:
        return more | {"reason": "out_of_memory"}
    if refused:
        return more | {"reason": "too_many_processes"}
    if full:
        return more | {"reason": "disk_full"}
    return end
