"""Intake: records from the queue become members of the ready set, in milliseconds."""

import asyncio

import structlog

from codexsys_core.announcement import Queue
from codexsys_core.errors import Unavailable
from codexsys_core.ready import ReadySet

PAUSE_SECONDS = 1.0


class Intake:
    """Moves announcements into the fair order. Copies are harmless: a member is there once."""

    def __init__(self, *, queue: Queue, ready: ReadySet) -> None:
        self._queue = queue
        self._ready = ready
        self._task: asyncio.Task[None] | None = None
        self._stopped = False

    async def run(self) -> None:
        """Consume until stopped; the relay covers what an outage loses."""
        self._task = asyncio.create_task(self._consume())
        if self._stopped:
            self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled() and self._task.exception():
            raise self._task.exception()  # type: ignore[misc]

    def stop(self) -> None:
        """Stop consuming; what was not acknowledged comes again to another worker."""
        self._stopped = True
        if self._task:
            self._task.cancel()

    async def _consume(self) -> None:
        while True:
            try:
                async for batch in self._queue.tasks():
                    await self._ready.add([record.waiting for record in batch])
            except Unavailable as error:
                structlog.get_logger().warning("intake waits", error=error.message)
            await asyncio.sleep(PAUSE_SECONDS)
