"""Attempts whose owner is gone, and the sandboxes of those that end."""

import asyncio

from tests.contract.stores.asked_of_tasks import DONE, claimed, eventually, types
from tests.contract.stores.conftest import MakeSandbox, Submit

from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_core.attempt import AttemptStore
from codexsys_core.end_reasons import EndReason
from codexsys_core.event import EventStore
from codexsys_core.moves import AttemptState, Phase, TaskStatus
from codexsys_core.sandbox import SandboxState, SandboxStore
from codexsys_core.task import TaskStore


async def test_an_expired_attempt_is_queued_under_a_raised_fence(
    tasks: TaskStore,
    attempts: AttemptStore,
    events: EventStore,
    sandboxes: SandboxStore,
    make_sandbox: MakeSandbox,
    submit: Submit,
) -> None:
    task, other = await submit(), await submit()
    hold = (await claimed(attempts, task, lease_seconds=0.2)).hold
    await claimed(attempts, other)
    assert await sandboxes.add(hold, make_sandbox(hold))
    (taken,) = await eventually(lambda: attempts.take_over(grace_seconds=0, most=3, limit=10))
    assert taken == hold.model_copy(update={"fence": 2})
    queued = await tasks.get(task.id, tenant_id="ten_a")
    assert (queued.status, queued.attempt) == (TaskStatus.QUEUED, 1)
    (row,) = await attempts.of_task(task.id, tenant_id="ten_a")
    assert (row.state, row.owner, row.takeovers) == (AttemptState.QUEUED, None, 1)
    (sandbox,) = await sandboxes.of_task(task.id)
    assert (sandbox.state, sandbox.end_reason) == (SandboxState.ENDED, "taken_over")
    assert not await attempts.move(hold, Phase.CODING)
    assert (await claimed(attempts, task)).hold.fence == 3
    assert "task.taken_over" in await types(events, task)


async def test_relays_at_once_take_each_attempt_once(
    attempts: AttemptStore, submit: Submit
) -> None:
    for _ in range(6):
        await claimed(attempts, await submit(), lease_seconds=-1)
    calls = (attempts.take_over(grace_seconds=0, most=3, limit=10) for _ in range(4))
    taken = [hold.attempt_id for holds in await asyncio.gather(*calls) for hold in holds]
    assert len(taken) == len(set(taken)) == 6


async def test_too_many_takeovers_poison_the_task(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit()
    for _ in range(3):
        await claimed(attempts, task, lease_seconds=-1)
        assert len(await attempts.take_over(grace_seconds=0, most=2, limit=10)) == 1
    ended = await tasks.get(task.id, tenant_id="ten_a")
    assert ended.status is TaskStatus.FAILED
    assert ended.end is not None
    assert ended.end.reason is EndReason.POISONED
    record = await outbox.result(task.id)
    assert record is not None
    assert (record.end_reason, record.fence) == ("poisoned", 6)


async def test_a_takeover_of_a_cancelled_task_ends_it(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    await claimed(attempts, task, lease_seconds=-1)
    await tasks.cancel(task.id, tenant_id="ten_a")
    await attempts.take_over(grace_seconds=0, most=3, limit=10)
    assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.CANCELLED


async def test_an_ending_ends_the_sandboxes(
    attempts: AttemptStore, sandboxes: SandboxStore, make_sandbox: MakeSandbox, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    await sandboxes.add(hold, make_sandbox(hold))
    await attempts.end(hold, DONE)
    assert [each.state for each in await sandboxes.of_task(task.id)] == [SandboxState.ENDED]
