"""One thing that was found in a changed file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["syntax", "lint", "format"]
Ranges = tuple[tuple[int, int], ...]
"""First and last lines, counted from 1, that a change added or changed in one file."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a tool says of a line; the message is as hostile as the tool's settings are."""

    kind: Kind
    path: str
    line: int
    tool: str
    message: str


def touched(ranges: Ranges, first: int, last: int) -> int | None:
    """Return the first line from `first` to `last` that was changed."""
    hits = [max(first, start) for start, end in ranges if start <= last and end >= first]
    return min(hits, default=None)


def on_changed_lines(
    kind: Kind,
    tool: str,
    told: Iterable[tuple[str, int, int, str]],
    lines: Mapping[str, Ranges],
) -> Iterable[Finding]:
    """Keep of (path, first, last, message) what lies on a line of the change."""
    for path, first, last, message in told:
        at = touched(lines.get(path, ()), first, max(first, last))
        if at is not None:
            yield Finding(kind, path, at, tool, message)
