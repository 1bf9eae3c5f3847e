"""`Queue` over memory and Kafka."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pytest
from tests.contract.servers import KAFKA, adapters, must_have

from codexsys_adapters.kafka import KafkaQueue
from codexsys_adapters.memory import MemoryQueue
from codexsys_core.announcement import Queue, ResultRecord, TaskRecord
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Unavailable

Record = TypeVar("Record")
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678, UTC)


@pytest.fixture(params=adapters("memory", "kafka", KAFKA))
async def queue(request: pytest.FixtureRequest) -> AsyncIterator[Queue]:
    if request.param == "memory":
        yield MemoryQueue()
        return
    async with KafkaQueue(
        bootstrap=must_have(KAFKA),
        clock=SystemClock(),
        partitions=2,
        suffix=f"-test-{uuid.uuid4().hex[:12]}",
        answer_seconds=30,
    ) as kafka:
        yield kafka


def task(number: int) -> TaskRecord:
    return TaskRecord(
        task_id=f"task_{number}",
        attempt=1,
        tenant_id="a",
        mode="change",
        source={"git": {"url": "https://example.com/x.git"}},
        enqueued_at=WHEN,
        turn_at=WHEN + timedelta(seconds=number),
    )


def result(number: int) -> ResultRecord:
    return ResultRecord(
        task_id=f"task_{number}",
        tenant_id="a",
        attempt=1,
        fence=1,
        seq=number,
        status="succeeded",
        verdict=None,
        end_reason="finished",
        finished_at=WHEN,
        artifacts=[],
    )


async def taken(batches: AsyncIterator[Sequence[Record]], count: int) -> list[Record]:
    found: list[Record] = []
    async with asyncio.timeout(60):
        while len(found) < count:
            found.extend(await anext(batches))
    return found


async def test_a_task_arrives_as_it_was(queue: Queue) -> None:
    await queue.publish_tasks([task(3)])
    async with aclosing(queue.tasks()) as batches:  # type: ignore[type-var]
        assert await taken(batches, 1) == [task(3)]


async def test_tasks_that_are_published_together_all_arrive(queue: Queue) -> None:
    long = task(0).model_copy(
        update={"source": {"git": {"url": f"https://a.example/{'x' * 2000}"}}}
    )
    records = [long.model_copy(update={"task_id": f"task_{number}"}) for number in range(200)]
    await queue.publish_tasks(records)
    async with aclosing(queue.tasks()) as batches:  # type: ignore[type-var]
        found = await taken(batches, len(records))
    assert {record.task_id for record in found} == {record.task_id for record in records}


async def test_what_was_not_acknowledged_comes_again(queue: Queue) -> None:
    await queue.publish_tasks([task(1)])
    for _ in range(2):
        async with aclosing(queue.tasks()) as batches:  # type: ignore[type-var]
            assert await taken(batches, 1) == [task(1)]


async def test_each_group_sees_all_results(queue: Queue) -> None:
    for number in range(5):
        await queue.publish_result(result(number))
    for group in ("one", "two"):
        async with aclosing(queue.results(group=group)) as batches:  # type: ignore[type-var]
            found = await taken(batches, 5)
        assert {record.seq for record in found} == set(range(5))


async def test_dead_letters_are_taken(queue: Queue) -> None:
    await queue.publish_dead("task_1", "poisoned")
    await queue.ready()


async def test_a_broker_that_is_away_is_unavailable() -> None:
    async with KafkaQueue(bootstrap="127.0.0.1:1", clock=SystemClock(), answer_seconds=2) as queue:
        with pytest.raises(Unavailable):
            await queue.publish_tasks([task(1)])
        with pytest.raises(Unavailable):
            await queue.ready()
