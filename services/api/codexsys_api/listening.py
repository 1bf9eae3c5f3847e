"""When to look at a task again: at a hint, and where none comes all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from codexsys_api.context import Streams
from codexsys_core.errors import Unavailable
from codexsys_wiring.platform import Platform

POLL_SECONDS = 1.0


class Bell:
    """Says when to look again: at a hint, at the latest after the poll's time."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        self.rung = asyncio.Event()

    @property
    def closing(self) -> bool:
        """Say whether the service stops."""
        return self._streams.closing

    async def wait(self, seconds: float = POLL_SECONDS) -> None:
        """Return when there may be more."""
        with suppress(TimeoutError):  # the poll
            await asyncio.wait_for(self.rung.wait(), seconds)
        if not self.closing:
            self.rung.clear()


@asynccontextmanager
async def hearing(streams: Streams) -> AsyncIterator[Bell]:
    """Give a bell that rings when everything closes."""
    bell = Bell(streams)
    streams.add(bell.rung)
    if streams.closing:
        bell.rung.set()
    try:
        yield bell
    finally:
        streams.discard(bell.rung)


@asynccontextmanager
async def listening(platform: Platform, streams: Streams, task_id: str) -> AsyncIterator[Bell]:
    """Listen to hints of a task; without them the poll remains."""
    async with hearing(streams) as bell:

        async def pump() -> None:
            with suppress(Unavailable):  # lossy by contract: the poll finds it
                async with platform.hints.listen(f"task:{task_id}") as hints:
                    async for _ in hints:
                        bell.rung.set()

        pumping = asyncio.create_task(pump())
        try:
            yield bell
        finally:
            pumping.cancel()
            await asyncio.gather(pumping, return_exceptions=True)
