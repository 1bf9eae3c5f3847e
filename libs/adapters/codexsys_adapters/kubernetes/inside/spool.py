"""What one phase said and how it ended, for whoever asks, as often as they ask."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

_PIECE = 12_000
QUIET_SECONDS = 10.0
QUIET = b".\n"
"""Says that we are still here: a connection over which nothing comes may be dead."""


class Spool:
    """One phase; its output is a file of the keeper's."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._started = False
        self._end: bytes | None = None
        self._news = asyncio.Condition()
        path.touch()

    @property
    def over(self) -> bool:
        """Say whether the phase has ended."""
        return self._end is not None

    async def hear(self, line: bytes) -> None:
        """Take a line of the phase's first process; once it has ended, nothing more."""
        kind, text = line[:1], line[1:].rstrip(b"\n")
        async with self._news:
            if kind == b"o" and not self.over:
                self._size += self._append(base64.b64decode(text))
            elif kind == b"s":
                self._started = True
            elif kind == b"e" and not self.over:
                self._end = text
            self._news.notify_all()

    async def fail(self, reason: str, detail: str) -> None:
        """End a phase that cannot end by itself any more."""
        await self.hear(b"e" + json.dumps({"reason": reason, "detail": detail}).encode())

    async def wait(self) -> None:
        """Return when the phase has ended."""
        async with self._news:
            await self._news.wait_for(lambda: self.over)

    async def lines(self, offset: int) -> AsyncIterator[bytes]:
        """Say it all again from an offset on, then what comes, to the end."""
        said_start = False
        while True:
            over, size, started = self.over, self._size, self._started
            if started and not said_start:
                said_start = True
                yield b"s\n"
            while offset < size:
                piece = self._read(offset)
                offset += len(piece)
                yield b"o" + base64.b64encode(piece) + b"\n"
            if over:
                yield b"e" + (self._end or b"{}") + b"\n"
                return
            if not await self._more_than(size, started=started):
                yield QUIET

    async def _more_than(self, size: int, *, started: bool) -> bool:
        """Wait for news; False when there was none for a while."""

        def is_news() -> bool:
            return self._size > size or self.over or self._started != started

        try:
            async with asyncio.timeout(QUIET_SECONDS), self._news:
                await self._news.wait_for(is_news)
        except TimeoutError:
            return False
        return True

    def _append(self, data: bytes) -> int:
        with self._path.open("ab") as file:
            return file.write(data)

    def _read(self, offset: int) -> bytes:
        with self._path.open("rb") as file:
            file.seek(offset)
            return file.read(_PIECE)
