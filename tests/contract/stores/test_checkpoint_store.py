"""Every `CheckpointStore` keeps what the port promises."""

import asyncio
from datetime import UTC, datetime

import pytest

from codexsys_adapters.sql.attempts.checkpoints import SqlCheckpoints
from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.engine import Database
from codexsys_core.attempt import Hold
from codexsys_core.checkpoint import Checkpoint
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import Sandbox


@pytest.fixture
def store(database: Database) -> SqlCheckpoints:
    return SqlCheckpoints(database=database)


def checkpoint(sandbox: Sandbox, number: int, *, attempt: int = 1, fence: int = 1) -> Checkpoint:
    return Checkpoint(
        id=TimeOrderedIds().new("ckp"),
        task_id=sandbox.task_id,
        attempt=attempt,
        fence=fence,
        number=number,
        step=number * 3,
        object=f"codexsys-code/checkpoints/{sandbox.task_id}/{attempt}-{fence}-{number}",
        patch_size=number * 100,
        created_at=datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC),
    )


async def test_the_last_one_comes_back_as_it_was(store: SqlCheckpoints, sandbox: Sandbox) -> None:
    first, second = checkpoint(sandbox, 1), checkpoint(sandbox, 2)
    assert await store.add(first, sandbox_id=sandbox.id)
    assert await store.add(second, sandbox_id=sandbox.id)
    assert await store.last(sandbox.task_id) == second


async def test_last_is_by_attempt_then_fence_then_number(
    store: SqlCheckpoints, sandbox: Sandbox
) -> None:
    newest = checkpoint(sandbox, 1, attempt=2, fence=4)
    for one in [
        newest,
        checkpoint(sandbox, 9, attempt=2, fence=3),
        checkpoint(sandbox, 10, attempt=1, fence=7),
    ]:
        assert await store.add(one, sandbox_id=sandbox.id)
    assert await store.last(sandbox.task_id) == newest


async def test_the_same_number_twice_is_one(store: SqlCheckpoints, sandbox: Sandbox) -> None:
    first = checkpoint(sandbox, 1)
    assert await store.add(first, sandbox_id=sandbox.id)
    assert await store.add(checkpoint(sandbox, 1), sandbox_id=sandbox.id)
    assert await store.last(sandbox.task_id) == first


async def test_the_same_number_at_once_is_one(store: SqlCheckpoints, sandbox: Sandbox) -> None:
    copies = [checkpoint(sandbox, 1) for _ in range(8)]
    assert all(await asyncio.gather(*(store.add(copy, sandbox_id=sandbox.id) for copy in copies)))
    assert await store.last(sandbox.task_id) in copies


async def test_an_ended_sandbox_adds_nothing(
    store: SqlCheckpoints, database: Database, hold: Hold, sandbox: Sandbox
) -> None:
    assert await store.add(checkpoint(sandbox, 1), sandbox_id=sandbox.id)
    await SqlSandboxes(database=database).end(hold, sandbox.id, "finished")
    assert not await store.add(checkpoint(sandbox, 2), sandbox_id=sandbox.id)
    last = await store.last(sandbox.task_id)
    assert last is not None
    assert last.number == 1


async def test_a_sandbox_adds_to_its_own_task_only(store: SqlCheckpoints, sandbox: Sandbox) -> None:
    foreign = checkpoint(sandbox, 1).model_copy(update={"task_id": "task_other"})
    assert not await store.add(foreign, sandbox_id=sandbox.id)
    assert not await store.add(checkpoint(sandbox, 1), sandbox_id="sbx_nowhere")


async def test_without_checkpoints_there_is_no_last(
    store: SqlCheckpoints, sandbox: Sandbox
) -> None:
    assert await store.last(sandbox.task_id) is None
