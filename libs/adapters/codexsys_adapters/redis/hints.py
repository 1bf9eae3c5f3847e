"""Hints over Redis channels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from codexsys_adapters.redis.connection import Connection, answers
from codexsys_adapters.redis.hub import GONE

TELL_SECONDS = 0.5
QUIET_SECONDS = 2.0
"""After a server said nothing, nobody tells it anything for so long: hints would only hold up who tells."""
WAITING = 256
"""Hints that wait for a slow listener; with so many waiting, one more says nothing new."""


class RedisHints:
    """`Hints` on Redis. All listeners of a process share one connection."""

    def __init__(self, connection: Connection) -> None:
        self._commands = connection.commands
        self._hub = connection.hub
        self._prefix = f"{connection.namespace}:hint:"
        self._not_before = 0.0

    async def tell(self, topic: str, payload: str = "") -> None:
        """Tell whoever listens; never raises for a Redis that is away."""
        now = asyncio.get_running_loop().time
        if now() < self._not_before:
            return
        try:
            async with asyncio.timeout(TELL_SECONDS):
                await self._commands.publish(self._prefix + topic, payload)
        except TimeoutError:
            self._not_before = now() + QUIET_SECONDS
        except GONE:
            return  # lossy by contract: rows are the truth

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[str]]:
        """Listen; yields payloads. Hints told before entering are not seen."""
        waiting: asyncio.Queue[str] = asyncio.Queue(WAITING)

        def take(payload: str | None) -> None:
            if payload is not None and not waiting.full():
                waiting.put_nowait(payload)

        async with self._hub.listening(self._prefix + topic, take):
            yield _Payloads(waiting)

    async def ready(self) -> None:
        """Raise `Unavailable` unless the server answers now."""
        with answers():
            await self._commands.ping()


class _Payloads:
    """An iterator, not a generator: a wait for the next payload that is given up does not end it."""

    def __init__(self, waiting: asyncio.Queue[str]) -> None:
        self._waiting = waiting

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return await self._waiting.get()
