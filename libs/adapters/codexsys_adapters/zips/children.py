"""How the zip child is asked: it does one thing, and ends when nobody waits for it any more."""

import asyncio
import socket

from codexsys_adapters.nursery import TRIES, Nursery

CHILDREN = 8
"""At the same time; more would only keep each other, and everybody else in this process, from working."""


class Children:
    """Starts zip children, a few at a time."""

    def __init__(self) -> None:
        self._nursery = Nursery("codexsys_adapters.zips.child")
        self._free = asyncio.Semaphore(CHILDREN)

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
        answer, _, status = said.rpartition(b"\n")
        return (int(status) if status else None), answer

    async def _asked(self, question: bytes, seconds: float) -> bytes:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            await asyncio.to_thread(self._hand_over, question, theirs)
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.write_eof()  # whatever still works for us ends with that
            await reader.read()
            writer.close()

    def _hand_over(self, question: bytes, theirs: socket.socket) -> None:
        """Close it here, too, where it was used: whoever is cancelled waits for no thread."""
        with theirs:
            self._nursery.ask(question, theirs.fileno())
