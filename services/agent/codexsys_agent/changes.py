"""The difference between two sets of entries, and taking parts of it away."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from codexsys_agent.private_git import Entry


@dataclass(frozen=True, slots=True)
class Change:
    """One path that differs; mode and blob are None where it is gone."""

    path: str
    mode: str | None
    blob: str | None
    status: str

    @property
    def key(self) -> tuple[str, str | None, str | None]:
        """What makes two changes the same."""
        return (self.path, self.mode, self.blob)

    def as_json(self) -> dict[str, Any]:
        """The wire's form; a path that is not UTF-8 is shown escaped."""
        shown = self.path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return {"path": shown, "mode": self.mode, "blob": self.blob, "status": self.status}


def changes(base: dict[str, Entry], entries: dict[str, Entry]) -> list[Change]:
    """From base to entries, by path."""
    found = []
    for path in sorted(base.keys() | entries.keys()):
        before, after = base.get(path), entries.get(path)
        if before == after:
            continue
        if after is None:
            found.append(Change(path, None, None, "D"))
        else:
            found.append(Change(path, after.mode, after.blob, "M" if before else "A"))
    return found


def without(
    base: dict[str, Entry],
    entries: dict[str, Entry],
    skip: Iterable[tuple[str, str | None, str | None]],
) -> dict[str, Entry]:
    """The entries with every change that is in skip undone."""
    skipped = set(skip)
    kept = dict(entries)
    for change in changes(base, entries):
        if change.key not in skipped:
            continue
        if change.path in base:
            kept[change.path] = base[change.path]
        else:
            del kept[change.path]
    return kept
