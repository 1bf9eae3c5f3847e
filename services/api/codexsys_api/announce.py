"""Announces new tasks on the queue in the background, many at once where many come."""

import asyncio
from contextlib import suppress

import structlog

from codexsys_core.announcement import Outbox, Queue, TaskRecord
from codexsys_core.errors import PlatformError

MOST_AT_ONCE = 200
MOST_WAITING = 10_000
CLOSE_SECONDS = 2.0


class Announcer:
    """Nobody waits for it: what it cannot announce is the relay's to do."""

    def __init__(self, *, queue: Queue, outbox: Outbox) -> None:
        self._queue = queue
        self._outbox = outbox
        self._waiting: list[TaskRecord] = []
        self._sending: asyncio.Task[None] | None = None

    def announce(self, record: TaskRecord) -> None:
        """Have the record published soon; one of too many while no broker answers is let go."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(record)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def close(self) -> None:
        """Wait for what is under way, at most 2 seconds."""
        if self._sending is not None and not self._sending.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sending, CLOSE_SECONDS)

    async def _send(self) -> None:
        while self._waiting:
            records = self._waiting[:MOST_AT_ONCE]
            del self._waiting[:MOST_AT_ONCE]
            try:
                sent = await asyncio.gather(*map(self._published, records))
                await self._outbox.tasks_published(
                    [record for record, out in zip(records, sent, strict=True) if out]
                )
            except PlatformError as error:
                structlog.get_logger().warning("left to the relay", error=error.message)

    async def _published(self, record: TaskRecord) -> bool:
        try:
            await self._queue.publish_task(record)
        except PlatformError as error:
            structlog.get_logger().warning(
                "left to the relay", task_id=record.task_id, error=error.message
            )
            return False
        return True
