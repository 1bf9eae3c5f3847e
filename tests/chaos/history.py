"""What clients asked for and were told: an append-only record that the checker believes more than anybody."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"
"""The answer never came: the operation may or may not have taken effect."""


@dataclass(frozen=True)
class Entry:
    """One operation. Times are seconds since the run began."""

    operation: str
    op: str
    """Names the wish that it belongs to; every task carries it as a label."""
    sent: float
    answered: float
    result: int | str
    """The HTTP status, or `unknown`."""
    data: dict[str, Any]

    @property
    def seconds(self) -> float:
        """Return how long the answer took."""
        return self.answered - self.sent


class History:
    """Entries in the order in which they were answered, in memory and on disk."""

    def __init__(self, path: Path) -> None:
        self.entries: list[Entry] = []
        self._file = path.open("w")

    def add(self, entry: Entry) -> None:
        """Append."""
        self.entries.append(entry)
        self._file.write(json.dumps(asdict(entry)) + "\n")
        self._file.flush()

    def of(self, operation: str) -> list[Entry]:
        """Return the entries of one kind."""
        return [entry for entry in self.entries if entry.operation == operation]

    def close(self) -> None:
        """Write no more."""
        self._file.close()
