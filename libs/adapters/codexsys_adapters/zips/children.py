"""How the zip child is asked: it does one thing, and ends when nobody waits for it any more."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from codexsys_adapters.nursery import TRIES, Nursery
from codexsys_adapters.zips.ahead import STEP
from codexsys_core.growing import STALL_SECONDS, GivenUp, Growing, Pace

CHILDREN = 8
"""At the same time; more would only keep each other, and everybody else in this process, from working."""
FOLLOWING = 4
"""Beside them: those whose file still comes in. Each has a thread, and waits for its sender."""


class Children:
    """Starts zip children, a few at a time."""

    def __init__(self) -> None:
        self._nursery = Nursery("codexsys_adapters.zips.child")
        self._free = asyncio.Semaphore(CHILDREN)
        self._following = asyncio.Semaphore(FOLLOWING)
        self._threads = ThreadPoolExecutor(FOLLOWING, thread_name_prefix="zip-following")

    async def ask(self, question: bytes, seconds: float) -> tuple[int | None, bytes]:
        """Return the exit status and the answer; the status is None when nobody was there to say it.

        Raises TimeoutError after so many seconds. However this ends, the child has ended before.
        """
        said = b""
        async with self._free:
            for _ in range(TRIES):
                said = await self._asked(question, seconds)
                if said:
                    break
        return _read(said)

    async def follow(
        self, question: bytes, growing: Growing, seconds: float
    ) -> tuple[int | None, bytes]:
        """Do the same to a file that still grows; the seconds begin when all of it is there.

        Raises `GivenUp` where it grows too slowly, too many are followed already, or nobody answered.
        """
        if self._following.locked():
            raise GivenUp
        async with self._following:
            said = await self._asked(question, seconds, growing)
        if not said:
            raise GivenUp
        return _read(said)

    async def _asked(
        self, question: bytes, seconds: float, growing: Growing | None = None
    ) -> bytes:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            await asyncio.to_thread(self._hand_over, question, theirs)
            if growing is not None:
                await self._tell(growing, writer)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.write_eof()  # whatever still works for us ends with that
            await reader.read()
            writer.close()

    async def _tell(self, growing: Growing, writer: asyncio.StreamWriter) -> None:
        """Say with a byte for each step how much of a file is there, until it is all."""
        loop, pace, there, told = asyncio.get_running_loop(), Pace(), 0, 0
        while there < growing.size:
            next_step = min(there - there % STEP + STEP, growing.size)
            there = await loop.run_in_executor(
                self._threads, growing.arrived, next_step - 1, STALL_SECONDS
            )
            pace.keep(there)
            steps = there // STEP if there < growing.size else -(-growing.size // STEP)
            writer.write(bytes(steps - told))
            told = steps

    def _hand_over(self, question: bytes, theirs: socket.socket) -> None:
        """Close it here, too, where it was used: whoever is cancelled waits for no thread."""
        with theirs:
            self._nursery.ask(question, theirs.fileno())


def _read(said: bytes) -> tuple[int | None, bytes]:
    answer, _, status = said.rpartition(b"\n")
    return (int(status) if status else None), answer
