"""What a database that answers would not store lately."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from codexsys_adapters.sql.faults import Full, Silent

RECENT_SECONDS = 5.0


class Refusals:
    """Remembers the last write that failed for want of an answer or of room.

    A full disk takes a small row here and there, so that nobody can ask for it; but who was refused knows.
    """

    def __init__(self) -> None:
        self._said = ""
        self._at = 0.0

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Remember that a write was refused in this block."""
        try:
            yield
        except (Full, Silent) as error:
            self._said, self._at = error.message, time.monotonic()
            raise

    @property
    def recent(self) -> str:
        """Return what was said to a write within the last seconds; nothing when all were taken."""
        return self._said if time.monotonic() - self._at < RECENT_SECONDS else ""
