"""Where a run is seen."""

from typing import Protocol


class Terminal(Protocol):
    """Where a run is seen: its output, and what we say of it."""

    async def write(self, data: bytes) -> None:
        """Write output; raises `OutputClosed` when nobody reads it any more."""

    def say(self, line: str) -> None:
        """Say one line of our own."""
