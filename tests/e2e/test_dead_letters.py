"""What ends on `codex-tasks-dlq`: tasks that kill their workers, and records that are none."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from tests.e2e.conftest import SETTINGS
from tests.support.distributed import Fleet, Servers, eventually
from tests.support.users import User, user, zipped

from codexsys_core.announcement import DEAD_TOPIC, TASKS_TOPIC

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LEASE = 2.0
BODY = {"prompt": "x", "engine": "command", "command": "true", "checks": {"strategy": "skip"}}
GARBAGE = (b"\xff\x00 no json", b"[]", b'{"v": 2, "task_id": "task_x"}', b"")
ZIP = zipped({"a.txt": "a\n"})


@asynccontextmanager
async def small_fleet(folder: Path, number: int) -> AsyncIterator[tuple[Fleet, User]]:
    settings = SETTINGS | {
        "CODEXSYS_SANDBOX": "dummy",
        "CODEXSYS_LEASE_SECONDS": str(LEASE),
        "CODEXSYS_RELAY_SECONDS": "0.5",
    }
    async with Fleet(folder=folder, redis_number=number, settings=settings) as fleet:
        await fleet.start("relay", 1)
        api = await fleet.start("api", 1)
        async with user(fleet.servers, api.url, "ours") as ada:
            yield fleet, ada


@asynccontextmanager
async def dead_letters(servers: Servers) -> AsyncIterator["AIOKafkaConsumer"]:
    """Read what is put there from now on."""
    consumer = AIOKafkaConsumer(
        DEAD_TOPIC + servers.suffix,
        bootstrap_servers=servers.kafka,
        auto_offset_reset="latest",
    )
    await consumer.start()
    try:
        await consumer.seek_to_end()
        for part in consumer.assignment():
            await consumer.position(part)
        yield consumer
    finally:
        await consumer.stop()


async def letters_of(
    consumer: "AIOKafkaConsumer", keys: set[str], *, seconds: float
) -> dict[str, Any]:
    """Wait for the dead letters with these keys."""
    seen: dict[str, Any] = {}

    async def look() -> bool | None:
        found = await consumer.getmany(timeout_ms=500)
        for record in (record for part in found.values() for record in part):
            key = (record.key or b"").decode()
            if key in keys:
                seen[key] = record
        return True if seen.keys() == keys else None

    await eventually(look, seconds=seconds, what=f"dead letters of {keys}")
    return seen


async def _owner(ada: User, task_id: str) -> str | None:
    attempt = (await ada.get(f"/tasks/{task_id}/attempts"))["items"][-1]
    return attempt["owner"]  # type: ignore[no-any-return]


async def test_a_task_that_kills_its_workers_is_poisoned(tmp_path: Path) -> None:
    slow = BODY | {"environment": {"variables": {"DUMMY_AGENT_DELAY": "600"}}}
    async with (
        small_fleet(tmp_path / "hosts", 5) as (fleet, ada),
        dead_letters(fleet.servers) as letters,
    ):
        task_id = await ada.submit(slow, archive=ZIP)
        for _ in range(4):
            worker = await fleet.start("worker", 1)

            async def owned() -> str | None:
                return await _owner(ada, task_id)

            await eventually(owned, seconds=30, what="a worker has it")
            worker.kill()

            async def given_up() -> bool | None:
                return True if await _owner(ada, task_id) is None else None

            await eventually(given_up, seconds=LEASE + 15, what="it is taken from the dead")
        task = await ada.finished(task_id, seconds=15)
        assert (task["status"], task["end_reason"]["code"]) == ("failed", "poisoned")
        attempts = (await ada.get(f"/tasks/{task_id}/attempts"))["items"]
        assert [each["takeovers"] for each in attempts] == [4]
        dead = (await letters_of(letters, {task_id}, seconds=30))[task_id]
        assert json.loads(dead.value) == {"v": 1, "task_id": task_id, "reason": "poisoned"}
        assert ("reason", b"poisoned") in dead.headers
        again = await ada.client.post(f"/api/v1/tasks/{task_id}/retry")
        assert again.json()["retry_of"] == task_id
        assert (await ada.client.post(f"/api/v1/tasks/{again.json()['id']}/cancel")).is_success
        worker = await fleet.start("worker", 1)

        async def cleared() -> bool | None:
            left = [*worker.data.glob("sandboxes/sbx_*"), *worker.data.glob("work/*/work-*")]
            return None if left else True

        await eventually(cleared, seconds=30, what="nothing is left of the dead")


async def test_records_that_are_none_are_put_aside_and_block_nothing(tmp_path: Path) -> None:
    garbage = {f"garbage-{uuid.uuid4().hex}": value for value in GARBAGE}
    async with (
        small_fleet(tmp_path / "hosts", 5) as (fleet, ada),
        dead_letters(fleet.servers) as letters,
        AIOKafkaProducer(bootstrap_servers=fleet.servers.kafka) as producer,
    ):
        tasks = TASKS_TOPIC + fleet.servers.suffix
        for key, value in garbage.items():
            await producer.send_and_wait(tasks, value, key=key.encode())
        await fleet.start("worker", 1)
        task_id = await ada.submit(BODY, archive=ZIP)
        found = await letters_of(letters, set(garbage), seconds=60)
        for key, dead in found.items():
            headers = dict(dead.headers)
            assert dead.value == garbage[key]
            assert headers["reason"].startswith(b"not a record")
            assert headers["topic"] == tasks.encode()
        assert (await ada.finished(task_id, seconds=60))["end_reason"]["code"] == "no_change"
