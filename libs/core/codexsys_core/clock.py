"""Time as a port, so that nothing reads a clock of its own."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The process's clocks. Leases never use them: they live on database time."""

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC time."""

    def monotonic(self) -> float:
        """Return seconds that only grow."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall clock as an aware UTC time."""
        return datetime.now(UTC)  # noqa: TID251 - this is the one place that may

    def monotonic(self) -> float:
        """Return seconds that only grow."""
        return time.monotonic()
