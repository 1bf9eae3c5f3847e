"""A broker that comes back with nothing stored: what is confirmed from then on is there."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition
from tests.chaos.servers import OwnServers
from tests.support.distributed import eventually

from codexsys_adapters.kafka import KafkaQueue
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Unavailable

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(200)]
DEAD_LETTERS = "codex-tasks-dlq"


@pytest_asyncio.fixture
async def servers() -> AsyncIterator[OwnServers]:
    async with OwnServers(["kafka"]) as own:
        yield own


async def confirmed(queue: KafkaQueue, task_id: str) -> None:
    """Publish until it is confirmed."""

    async def sent() -> bool | None:
        try:
            await queue.publish_dead(task_id, "poisoned")
        except Unavailable:
            return None
        return True

    await eventually(sent, seconds=60, what=f"{task_id} is confirmed")


async def kept(bootstrap: str) -> set[str]:
    """Return the tasks on the one partition of the dead letters."""
    part = TopicPartition(DEAD_LETTERS, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    consumer.assign([part])
    await consumer.start()
    try:
        end = (await consumer.end_offsets([part]))[part]
        found: set[str] = set()
        while await consumer.position(part) < end:
            batch = await consumer.getmany(part, timeout_ms=500)
            found |= {
                json.loads(record.value)["task_id"] for each in batch.values() for record in each
            }
        return found
    finally:
        await consumer.stop()


async def test_what_is_confirmed_after_a_wipe_is_kept(servers: OwnServers) -> None:
    bootstrap = servers.direct["CODEXSYS_TEST_KAFKA"]
    async with (
        KafkaQueue(bootstrap=bootstrap, clock=SystemClock()) as old,
        KafkaQueue(bootstrap=bootstrap, clock=SystemClock()) as older,
    ):
        for queue in (old, older):
            await confirmed(queue, "before")
        await servers.kill("kafka")
        await servers.wipe("kafka")
        async with KafkaQueue(bootstrap=bootstrap, clock=SystemClock()) as new:
            for number in range(5):
                await confirmed(new, f"new-{number}")
            for name, queue in (("old", old), ("older", older)):
                await confirmed(queue, name)
            wanted = {"old", "older", *(f"new-{number}" for number in range(5))}
            assert wanted <= await kept(bootstrap)
