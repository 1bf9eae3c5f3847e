"""The object store as a worker uses it: a store that is away for a while is waited for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog

from codexsys_core.artifact import Link, ObjectStore
from codexsys_core.errors import Unavailable

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
Answer = TypeVar("Answer")


class PatientObjects:
    """An `ObjectStore` that asks another one again, for so many seconds, before it is `Unavailable`.

    The attempt's lease is renewed meanwhile, so a store's restart costs time and no work.
    """

    def __init__(self, objects: ObjectStore, *, seconds: float) -> None:
        self._objects = objects
        self._seconds = seconds

    async def put(
        self, name: str, data: bytes | Path, *, content_type: str = "application/octet-stream"
    ) -> tuple[int, str]:
        """Store and return (size, sha256)."""
        return await self._patient(lambda: self._objects.put(name, data, content_type=content_type))

    async def get(self, name: str) -> bytes:
        """Return a whole small object."""
        return await self._patient(lambda: self._objects.get(name))

    def stream(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object in pieces; what was yielded cannot be asked for again."""
        return self._objects.stream(name)

    async def fetch(self, name: str, into: Path) -> None:
        """Write an object to a file."""
        await self._patient(lambda: self._objects.fetch(name, into))

    async def delete(self, name: str) -> None:
        """Remove; no error when it is not there."""
        await self._patient(lambda: self._objects.delete(name))

    async def names(self, prefix: str) -> list[str]:
        """Return the names of objects that start so."""
        return await self._patient(lambda: self._objects.names(prefix))

    async def link(
        self, name: str, *, filename: str, content_type: str, seconds: int = 900
    ) -> Link:
        """Return a presigned GET."""
        return await self._objects.link(
            name, filename=filename, content_type=content_type, seconds=seconds
        )

    async def ready(self) -> None:
        """Ask once."""
        await self._objects.ready()

    async def _patient(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + self._seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                return await ask()
            except Unavailable as error:
                if loop.time() + pause > until:
                    raise
                structlog.get_logger().warning("the store is waited for", error=error.message)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
