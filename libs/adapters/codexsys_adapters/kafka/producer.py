"""The one producer of a process, started when first needed and made anew when it breaks."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, suppress

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from aiokafka.producer.message_accumulator import BatchBuilder

from codexsys_adapters.kafka.records import Headers, Wired
from codexsys_core.errors import Unavailable

REQUEST_MS = 10_000

GONE = (KafkaError, OSError, RuntimeError)
"""How the driver says that a broker is away; uvloop's transports raise the last one once they are closed."""

log = logging.getLogger(__name__)


class Producer:
    """Sends records, each within a time; makes the topics that are missing when it starts."""

    def __init__(
        self, *, bootstrap: str, topics: dict[str, int], replication: int, answer_seconds: float
    ) -> None:
        self._bootstrap = bootstrap
        self._topics = topics
        self._replication = replication
        self._answer_seconds = answer_seconds
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._turns = itertools.count()

    async def send(self, topic: str, key: bytes | None, value: bytes, headers: Headers) -> None:
        """Return once all replicas have the record; `Unavailable` when they do not say so."""
        async with self._answering() as producer:
            sent = await producer.send(topic, value, key=key, headers=headers)
            sent.add_done_callback(_forgotten)
            await asyncio.shield(sent)

    async def send_together(self, topic: str, records: Iterable[Wired]) -> None:
        """Return once all replicas have all of them; `Unavailable` when they do not say so.

        They go to one partition, the next one each time, whatever their keys: to a broker each further
        partition of a request is as much work as all records of one.
        """
        async with self._answering() as producer:
            partitions = sorted(await producer.partitions_for(topic))
            sent = []
            for batch in _batches(producer, records):
                partition = partitions[next(self._turns) % len(partitions)]
                sent.append(await producer.send_batch(batch, topic, partition=partition))
                sent[-1].add_done_callback(_forgotten)
            await asyncio.gather(*sent)

    @asynccontextmanager
    async def _answering(self) -> AsyncIterator[AIOKafkaProducer]:
        """Give the producer, for as long as an answer may take."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                yield await self._started()
        except GONE as error:
            # One that was given up may go on for ever with what it knew of brokers that are no more.
            await self.close()
            raise _away() from error

    async def check(self) -> None:
        """Raise `Unavailable` unless the broker answers now."""
        try:
            async with asyncio.timeout(self._answer_seconds):
                producer = await self._started()
                await producer.client.fetch_all_metadata()
        except GONE as error:
            raise _away() from error

    async def close(self) -> None:
        """Stop; the next send starts again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await self._stop(producer)

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is not None:
                return self._producer
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                acks="all",
                # Copies are harmless, silence is not: brokers that lost their data give producer ids
                # out again, take a stranger's records for repeated ones, and confirm them unstored.
                enable_idempotence=False,
                linger_ms=0,
                max_batch_size=65_536,
                request_timeout_ms=REQUEST_MS,
            )
            try:
                await make_topics(self._bootstrap, self._topics, self._replication)
                await producer.start()
            except BaseException:
                await self._stop(producer)
                raise
            self._producer = producer
            return producer

    async def _stop(self, producer: AIOKafkaProducer) -> None:
        # Stopping sends what is left, for ever when the broker is away. What is lost with it was
        # never confirmed, and the relay sends it again.
        try:
            async with asyncio.timeout(self._answer_seconds):
                await producer.stop()
        except GONE as error:
            log.warning("a kafka producer did not stop cleanly: %s", type(error).__name__)
            with suppress(*GONE):  # only its sockets are left to close
                await producer.client.close()


async def make_topics(bootstrap: str, topics: dict[str, int], replication: int) -> None:
    """Make topics (name to number of partitions) that are not there yet."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        missing = set(topics) - set(await admin.list_topics())
        if not missing:
            return
        answer = await admin.create_topics(
            [NewTopic(name, topics[name], replication) for name in sorted(missing)]
        )
        for _name, code, *_message in answer.topic_errors:
            if code not in (0, TopicAlreadyExistsError.errno):
                raise for_code(code)
    finally:
        await admin.close()


def _batches(producer: AIOKafkaProducer, records: Iterable[Wired]) -> Iterator[BatchBuilder]:
    """Yield the records in as few batches as take them."""
    batch = producer.create_batch()
    for key, value, headers in records:
        if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
            yield batch
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value, headers=headers)
    batch.close()
    yield batch


def _away() -> Unavailable:
    return Unavailable("The queue does not answer.", code="queue_unavailable")


def _forgotten(sent: "asyncio.Future[object]") -> None:
    """Take note of the end of what was given up."""
    if not sent.cancelled():
        sent.exception()
