"""`Queue` on three Kafka topics."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self

from codexsys_adapters.kafka.consumer import Consumer
from codexsys_adapters.kafka.producer import Producer
from codexsys_adapters.kafka.records import (
    Headers,
    Record,
    dead_letter,
    encoded,
    read_result,
    read_task,
    task_headers,
)
from codexsys_core.announcement import (
    DEAD_TOPIC,
    RESULTS_TOPIC,
    TASKS_TOPIC,
    ResultRecord,
    TaskRecord,
)
from codexsys_core.clock import Clock

WORKERS = "codexsys-workers"

log = logging.getLogger(__name__)


def no_trace() -> str | None:
    """Return no trace."""
    return None


class KafkaQueue:
    """Publishes and consumes; opens nothing before its first use, so a broker may come late.

    `suffix` sets an installation's topics and groups apart from another's on the same brokers.
    """

    def __init__(
        self,
        *,
        bootstrap: str,
        clock: Clock,
        partitions: int = 8,
        replication: int = 1,
        answer_seconds: float = 5.0,
        suffix: str = "",
        traceparent: Callable[[], str | None] = no_trace,
    ) -> None:
        self._bootstrap = bootstrap
        self._clock = clock
        self._suffix = suffix
        self._traceparent = traceparent
        self._producer = Producer(
            bootstrap=bootstrap,
            topics={
                TASKS_TOPIC + suffix: partitions,
                RESULTS_TOPIC + suffix: partitions,
                DEAD_TOPIC + suffix: 1,
            },
            replication=replication,
            answer_seconds=answer_seconds,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._producer.close()

    async def publish_tasks(self, records: Sequence[TaskRecord]) -> None:
        """Announce waiting tasks."""
        trace = self._trace()
        wired = [
            (each.task_id.encode(), encoded(each), task_headers(each) + trace) for each in records
        ]
        await self._producer.send_together(TASKS_TOPIC + self._suffix, wired)

    async def publish_result(self, record: ResultRecord) -> None:
        """Announce a terminal task."""
        await self._send(RESULTS_TOPIC, record.task_id, encoded(record), [])

    async def publish_dead(self, task_id: str, reason: str) -> None:
        """Put a task on the dead letter topic."""
        await self._send(
            DEAD_TOPIC, task_id, dead_letter(task_id, reason), [("reason", reason.encode())]
        )

    def tasks(self) -> AsyncIterator[Sequence[TaskRecord]]:
        """Yield batches; asking for the next one acknowledges the one before."""
        return self._read(TASKS_TOPIC, WORKERS, read_task)

    def results(self, *, group: str) -> AsyncIterator[Sequence[ResultRecord]]:
        """Yield batches of results for one group, from the beginning of what is kept."""
        return self._read(RESULTS_TOPIC, group, read_result)

    async def ready(self) -> None:
        """Raise `Unavailable` unless the broker answers now."""
        await self._producer.check()

    async def _send(self, topic: str, key: str, value: bytes, headers: Headers) -> None:
        headers = headers + self._trace()
        await self._producer.send(topic + self._suffix, key.encode(), value, headers)

    def _trace(self) -> Headers:
        trace = self._traceparent()
        return [("traceparent", trace.encode())] if trace is not None else []

    async def _read(
        self, topic: str, group: str, parse: Callable[[bytes | None, Headers], Record]
    ) -> AsyncGenerator[Sequence[Record], None]:
        consumer = Consumer(
            bootstrap=self._bootstrap,
            topic=topic + self._suffix,
            group=group + self._suffix,
            clock=self._clock,
        )
        async with aclosing(consumer.batches()) as batches:
            async for batch in batches:
                good = [record for raw in batch if (record := await self._parsed(raw, parse))]
                if good:
                    yield good

    async def _parsed(
        self, raw: Any, parse: Callable[[bytes | None, Headers], Record]
    ) -> Record | None:
        """Return a record; one that cannot be read goes to the dead letters as it came."""
        try:
            return parse(raw.value, raw.headers)
        except ValueError as error:
            reason = f"not a record: {type(error).__name__}"
            log.warning("%s/%s@%s: %s", raw.topic, raw.partition, raw.offset, reason)
            headers = [("reason", reason.encode()), ("topic", raw.topic.encode())]
            await self._producer.send(DEAD_TOPIC + self._suffix, raw.key, raw.value or b"", headers)
            return None
