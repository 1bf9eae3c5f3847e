"""Where the output of a program elsewhere goes, without whoever reads it slowly holding anything else up."""

import asyncio
import queue
import sys
import threading
from typing import BinaryIO

from codexsys_cli.output import say

_Piece = tuple[bytes, "asyncio.Future[None]", asyncio.AbstractEventLoop]


class OutputClosed(Exception):
    """Nobody reads the output any more."""


class Terminal:
    """Standard output and standard error; output is written by a thread that nobody waits for at the end."""

    def __init__(self, out: BinaryIO | None = None) -> None:
        self._out = out or sys.stdout.buffer
        self._pieces: queue.SimpleQueue[_Piece] = queue.SimpleQueue()
        threading.Thread(target=self._write, daemon=True).start()

    async def write(self, data: bytes) -> None:
        """Write output; returns when it is written, so that nothing piles up here."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._pieces.put((data, done, loop))
        await done

    def say(self, line: str) -> None:
        """Say one line of our own, on standard error."""
        say(f"codexsys: {line}")

    def _write(self) -> None:
        while True:
            data, done, loop = self._pieces.get()
            closed = False
            try:
                self._out.write(data)
                self._out.flush()
            except (OSError, ValueError):
                closed = True
            loop.call_soon_threadsafe(_tell, done, closed)


def _tell(done: "asyncio.Future[None]", closed: bool) -> None:
    if done.cancelled():
        return
    if closed:
        done.set_exception(OutputClosed())
    else:
        done.set_result(None)
