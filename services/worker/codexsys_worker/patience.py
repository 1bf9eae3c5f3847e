"""The object store as a worker uses it: one that is away is waited for, as long as there is work to do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import structlog

from codexsys_core.artifact import Link, ObjectStore
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Unavailable

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 15.0
STOPPED_SECONDS = 2.0
"""What must stop gives a store this long for an answer, and asks once."""
Answer = TypeVar("Answer")


class PatientObjects:
    """An `ObjectStore` that asks another one again, for so many seconds, before it is `Unavailable`.

    The attempt's lease is renewed meanwhile, so a store's restart costs time and no work. Work that
    must end or is lost does not wait.
    """

    def __init__(
        self, objects: ObjectStore, *, seconds: float, stop: asyncio.Event | None = None
    ) -> None:
        self._objects = objects
        self._seconds = seconds
        self._stop = stop or asyncio.Event()

    def until(self, stop: asyncio.Event) -> "PatientObjects":
        """Return the same store for one work, which ends its patience when it must stop."""
        return PatientObjects(self._objects, seconds=self._seconds, stop=stop)

    async def put(
        self,
        name: str,
        data: bytes | Path,
        *,
        content_type: str = "application/octet-stream",
        sha256: str = "",
    ) -> tuple[int, str]:
        """Store and return (size, sha256)."""
        return await self._patient(
            lambda: self._objects.put(name, data, content_type=content_type, sha256=sha256)
        )

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
                return await self._answer(ask)
            except Unavailable as error:
                if self._stop.is_set() or loop.time() + pause > until:
                    raise
                structlog.get_logger().warning("the store is waited for", error=error.message)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def _answer(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Ask; once the work must stop, only for a moment longer."""
        asked = asyncio.ensure_future(ask())
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([asked, stop], return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(STOPPED_SECONDS if self._stop.is_set() else None):
                return await asked
        except TimeoutError:
            code = EndReason.STORE_UNAVAILABLE.value
            raise Unavailable("The object store does not answer.", code=code) from None
        finally:
            asked.cancel()
            stop.cancel()
