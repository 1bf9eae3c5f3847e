"""The queue inside one process, for a platform that runs as one program."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Generic, TypeVar

from codexsys_core.announcement import ResultRecord, TaskRecord

BATCH = 500
KEPT = 10_000
"""Results kept for groups that come later; the rows have all of them."""

Record = TypeVar("Record")


class _Line(Generic[Record]):
    """Records in order, shared by all that take from it."""

    def __init__(self, records: Sequence[Record] = ()) -> None:
        self._records = deque(records)
        self._news = asyncio.Event()
        if records:
            self._news.set()

    def put(self, record: Record) -> None:
        """Add a record at the end."""
        self._records.append(record)
        self._news.set()

    async def batches(self) -> AsyncIterator[Sequence[Record]]:
        """Yield batches; one that its reader did not finish goes back to the front."""
        while True:
            batch = await self._take()
            done = False
            try:
                yield batch
                done = True
            finally:
                if not done:
                    self._records.extendleft(reversed(batch))
                    self._news.set()

    async def _take(self) -> list[Record]:
        while not self._records:
            self._news.clear()
            await self._news.wait()
        return [self._records.popleft() for _ in range(min(BATCH, len(self._records)))]


class MemoryQueue:
    """`Queue` in memory. Lost with the process: the relay announces again what the rows hold."""

    def __init__(self) -> None:
        self._tasks: _Line[TaskRecord] = _Line()
        self._kept: deque[ResultRecord] = deque(maxlen=KEPT)
        self._groups: dict[str, _Line[ResultRecord]] = {}
        self.dead: deque[tuple[str, str]] = deque(maxlen=KEPT)
        """(task id, reason) of the dead letters."""

    async def publish_tasks(self, records: Sequence[TaskRecord]) -> None:
        """Announce waiting tasks."""
        for record in records:
            self._tasks.put(record)

    async def publish_result(self, record: ResultRecord) -> None:
        """Announce a terminal task."""
        self._kept.append(record)
        for line in self._groups.values():
            line.put(record)

    async def publish_dead(self, task_id: str, reason: str) -> None:
        """Keep a task with the dead letters."""
        self.dead.append((task_id, reason))

    def tasks(self) -> AsyncIterator[Sequence[TaskRecord]]:
        """Yield batches; asking for the next one acknowledges the one before."""
        return self._tasks.batches()

    def results(self, *, group: str) -> AsyncIterator[Sequence[ResultRecord]]:
        """Yield batches of results for one group, from the beginning of what is kept."""
        if group not in self._groups:
            self._groups[group] = _Line(tuple(self._kept))
        return self._groups[group].batches()

    async def ready(self) -> None:
        """Answer: memory is always there."""
