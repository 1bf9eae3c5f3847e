"""Reads one topic for one group, in batches, for as long as it is asked."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, IllegalGenerationError

from codexsys_adapters.kafka.producer import GONE
from codexsys_core.clock import Clock
from codexsys_core.errors import Unavailable

BATCH = 500
POLL_MS = 1_000
QUIET_SECONDS = 30.0
"""A consumer that hears nothing for so long although there is more is replaced (a known bug)."""
STOP_SECONDS = 2.0
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)

log = logging.getLogger(__name__)


class Consumer:
    """Yields raw records; asking for the next batch commits the one before."""

    def __init__(self, *, bootstrap: str, topic: str, group: str, clock: Clock) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._group = group
        self._clock = clock

    async def batches(self) -> AsyncGenerator[Sequence[Any], None]:
        """Yield batches for ever; a broker that is away is waited for."""
        failures = 0
        while True:
            consumer = self._made()
            try:
                await consumer.start()
                while (batch := await self._next(consumer)) is not None:
                    failures = 0
                    yield batch
                    await _commit(consumer)
            except (*GONE, Unavailable) as error:
                failures += 1
                log.warning("kafka is away: %s", type(error).__name__)
            finally:
                await _stop(consumer)
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    def _made(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=30_000,
            heartbeat_interval_ms=3_000,
            max_poll_interval_ms=300_000,
        )

    async def _next(self, consumer: AIOKafkaConsumer) -> list[Any] | None:
        """Return the next records, or None when this consumer has fallen silent."""
        heard = self._clock.monotonic()
        while True:
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH)
            records = [record for part in found.values() for record in part]
            if records:
                return records
            if self._clock.monotonic() - heard < QUIET_SECONDS:
                continue
            if await _behind(consumer):
                log.error("a consumer of %s is silent and is replaced", self._topic)
                return None
            heard = self._clock.monotonic()


async def _stop(consumer: AIOKafkaConsumer) -> None:
    """Leave the group; a broker that is away, or one that rebalances, is not waited for."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await consumer.stop()
    except GONE as error:
        log.warning("a kafka consumer did not stop cleanly: %s", type(error).__name__)


async def _commit(consumer: AIOKafkaConsumer) -> None:
    try:
        await consumer.commit()
    except (CommitFailedError, IllegalGenerationError) as error:
        # Another member has the partitions now and will read the batch once more.
        log.info("a batch was not committed: %s", type(error).__name__)


async def _behind(consumer: AIOKafkaConsumer) -> bool:
    ends = await consumer.end_offsets(list(consumer.assignment()))
    for part, end in ends.items():
        if end > await consumer.position(part):
            return True
    return False
