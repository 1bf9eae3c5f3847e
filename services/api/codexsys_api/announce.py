"""Announces new tasks on the queue in the background, many at once where many come."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from codexsys_core.announcement import Outbox, Queue, TaskRecord
from codexsys_core.errors import PlatformError

MOST_AT_ONCE = 200
MOST_WAITING = 10_000
NOTE_SECONDS = 0.2
"""What went out is noted so much later, with what goes out meanwhile: a relay looks for it after seconds."""
PAUSE_SECONDS = 0.02
"""Between two batches: what comes meanwhile goes out with the next one. Who comes alone does not wait."""
CLOSE_SECONDS = 2.0


class Announcer:
    """Nobody waits for it: what it cannot announce is the relay's to do."""

    def __init__(self, *, queue: Queue, outbox: Outbox) -> None:
        self._queue = queue
        self._outbox = outbox
        self._waiting: list[TaskRecord] = []
        self._sending: asyncio.Task[None] | None = None
        self._out: list[TaskRecord] = []
        self._noting: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def announce(self, record: TaskRecord) -> None:
        """Have the record published soon; one of too many while no broker answers is let go."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(record)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Wait for what is under way, at most 2 seconds."""
        self._closing.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                if self._sending is not None:
                    await self._sending
                if self._noting is not None:
                    await self._noting

    async def _send(self) -> None:
        while self._waiting:
            records = self._waiting[:MOST_AT_ONCE]
            del self._waiting[:MOST_AT_ONCE]
            if await self._published(records):
                self._out += records
            if self._out and (self._noting is None or self._noting.done()):
                self._noting = asyncio.create_task(self._note())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), PAUSE_SECONDS)

    async def _note(self) -> None:
        while self._out:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), NOTE_SECONDS)
            records, self._out = self._out, []
            try:
                await self._outbox.tasks_published(records)
            except PlatformError as error:
                structlog.get_logger().warning("left to the relay", error=error.message)

    async def _published(self, records: Sequence[TaskRecord]) -> bool:
        try:
            await self._queue.publish_tasks(records)
        except PlatformError as error:
            ids = [record.task_id for record in records]
            structlog.get_logger().warning("left to the relay", tasks=ids, error=error.message)
            return False
        return True
