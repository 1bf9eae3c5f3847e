"""What a phase said, kept in a file of ours that has no name."""

import asyncio
import contextlib
import os
import tempfile
import weakref
from pathlib import Path

from codexsys_core.clock import Clock


class Spool:
    """Grows while its phase runs; whoever reads at its end waits for more until it is complete.

    For one event loop. Closed by itself when nobody has it any more.
    """

    def __init__(self, *, clock: Clock, folder: Path | None = None) -> None:
        self.size = 0
        self._clock = clock
        self._complete = False
        self._news = asyncio.Event()
        self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed below
        self.close = weakref.finalize(self, self._file.close)

    def add(self, data: bytes) -> None:
        """Keep some more; raises `OSError` where there is no room."""
        os.pwrite(self._file.fileno(), data, self.size)
        self.size += len(data)
        self._news.set()

    def complete(self) -> None:
        """Let nobody wait any longer."""
        self._complete = True
        self._news.set()

    async def read(self, offset: int, limit: int, seconds: float) -> bytes:
        """Return what was said from an offset on; waits so long for it where more may come."""
        until = self._clock.monotonic() + seconds
        while offset >= self.size and not self._complete:
            left = until - self._clock.monotonic()
            if left <= 0:
                return b""
            self._news.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), left)
        return os.pread(self._file.fileno(), limit, offset)
