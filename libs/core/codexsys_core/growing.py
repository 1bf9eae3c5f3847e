"""A file that is passed on while it still comes in."""

import asyncio
import threading
from pathlib import Path


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
        with self._changed:
            self._changed.wait_for(lambda: self._given_up or self._end() > at, seconds)
            if self._given_up or self._end() <= at:
                raise GivenUp
            return self._end()

    def _end(self) -> int:
        return self.size if self.released else min(self._there, self.size - 1)
