"""A file that is passed on while it still comes in."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic

STALL_SECONDS = 5.0
"""So long it is waited for more, and for the first of it at its slowest pace."""
SLOWEST = 1 << 20
"""Bytes a second: what comes more slowly must not keep others from a thread."""


class GivenUp(Exception):
    """The rest of the file does not come, or not soon enough."""


class Growing:
    """A file of a known size: one thread writes it and says how far it is, another one reads behind.

    Its last byte is held back until somebody has looked the file through and releases it, so whoever
    reads it has no whole file before that. `release` and `give_up` are for the event loop's thread.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self.size = size
        self.sha256 = ""
        """Known once it is released."""
        self.released = False
        self._there = 0
        self._given_up = False
        self._changed = threading.Condition()
        self._over = asyncio.Event()

    def grew(self, there: int) -> None:
        """Say that so many bytes can be read."""
        with self._changed:
            self._there = there
            self._changed.notify_all()

    def release(self, sha256: str) -> None:
        """Let the last byte be read: all of it is there, and good. Nothing when it was given up."""
        self.sha256 = sha256
        with self._changed:
            self.released = not self._given_up
            self._changed.notify_all()
        self._over.set()

    def give_up(self) -> None:
        """Let readers end; nothing when it was released."""
        with self._changed:
            self._given_up = not self.released
            self._changed.notify_all()
        self._over.set()

    async def whole(self) -> tuple[Path, str]:
        """Return path and hash once it is released; raises `GivenUp`."""
        await self._over.wait()
        if not self.released:
            raise GivenUp
        return self.path, self.sha256

    def readable(self, at: int, seconds: float) -> int:
        """Return up to where it may be read, as soon as that is beyond `at`; raises `GivenUp` after so long."""
        return self._beyond(at, self._end, seconds)

    def arrived(self, at: int, seconds: float) -> int:
        """Return how much of it is there, held back or not, as soon as that is beyond `at`; raises `GivenUp`."""
        return self._beyond(at, lambda: self._there, seconds)

    def _beyond(self, at: int, end: Callable[[], int], seconds: float) -> int:
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or end() > at, seconds)
            if self._given_up or end() <= at:
                raise GivenUp
            return end()

    def _end(self) -> int:
        return self.size if self.released else min(self._there, self.size - 1)


class Pace:
    """Whether a file grows fast enough to be followed; it begins with whoever follows."""

    def __init__(self) -> None:
        self._began = monotonic()

    def keep(self, at: int) -> None:
        """Raise `GivenUp` where it is only `at` after so long."""
        if at < SLOWEST * (monotonic() - self._began - STALL_SECONDS):
            raise GivenUp
