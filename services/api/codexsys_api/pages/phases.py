"""The six phases of a task, each with the time it took: read from the task's events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from codexsys_api.pages import text
from codexsys_core.moves import Phase as Name

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Phase:
    """One of the six parts of a running task: `done`, `now` or nothing."""

    name: str
    at: str
    took: str
    since: str
    """Of the one that runs: when it would have begun, had it run without a break."""


def phases(task: Json, moves: Sequence[Json], now: datetime) -> list[Phase]:
    """Say where a task is among the six phases, and how long each took, all attempts together."""
    names = [name.value for name in Name]
    current = str(task.get("phase") or "")
    at = names.index(current) if current in names else -1
    spent, runs = _spent(moves, now)
    return [
        Phase(
            name.capitalize(),
            "done" if index < at or (at < 0 and name in spent) else "now" if index == at else "",
            text.duration(spent[name].total_seconds()) if name in spent else "",
            (now - spent[name]).isoformat() if name == runs else "",
        )
        for index, name in enumerate(names)
    ]


def _spent(moves: Sequence[Json], now: datetime) -> tuple[dict[str, timedelta], str]:
    """Add up the time of each phase; the last one may still run."""
    spent: dict[str, timedelta] = {}
    runs, begun = "", now
    for move in moves:
        moment = text.moment(str(move["at"])) or now
        if runs:
            spent[runs] += moment - begun
        runs = (
            str((move.get("data") or {}).get("phase") or "") if move["type"] == "task.phase" else ""
        )
        begun = moment
        if runs:
            spent.setdefault(runs, timedelta())
    if runs:
        spent[runs] += max(timedelta(), now - begun)
    return spent, runs
