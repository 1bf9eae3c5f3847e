"""Cancelled tasks, whoever has them."""

import asyncio

import pytest
from tests.contract.stores.asked_of_tasks import DONE, LOST, claimed, types
from tests.contract.stores.conftest import Submit

from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_core.attempt import AttemptStore, Ending
from codexsys_core.end_reasons import EndReason
from codexsys_core.event import EventStore
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.task import TaskStore


async def test_cancel_of_a_queued_task_ends_it(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    cancelled = await tasks.cancel(task.id, tenant_id="ten_a")
    assert cancelled.status is TaskStatus.CANCELLED
    assert cancelled.end == Outcome(reason=EndReason.CANCELLED)
    assert await tasks.cancel(task.id, tenant_id="ten_a") == cancelled
    assert await attempts.claim(task.id, owner="own_a", lease_seconds=60) is None
    assert [
        record.task_id for record in await outbox.unpublished_results(older_than_seconds=0, limit=9)
    ] == [task.id]
    assert await types(events, task) == ["task.queued", "task.cancelled"]


async def test_cancel_of_a_running_task_asks_its_owner(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    for _ in range(2):
        assert (await tasks.cancel(task.id, tenant_id="ten_a")).status is TaskStatus.RUNNING
    beat = await attempts.beat("own_a", [claim.hold], lease_seconds=60)
    assert not beat.lost
    assert beat.cancelled == {claim.hold}
    ending = Ending(status=TaskStatus.CANCELLED, outcome=Outcome(reason=EndReason.CANCELLED))
    assert await attempts.end(claim.hold, ending)
    assert (await types(events, task))[2:] == ["task.cancelling", "task.cancelled"]


async def test_cancel_of_an_ended_task_changes_nothing(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    await attempts.end((await claimed(attempts, task)).hold, DONE)
    ended = await tasks.get(task.id, tenant_id="ten_a")
    assert await tasks.cancel(task.id, tenant_id="ten_a") == ended


@pytest.mark.parametrize("new_attempt_id", [None, "att_second"])
async def test_a_cancelled_task_is_not_queued_again(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit, new_attempt_id: str | None
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    await tasks.cancel(task.id, tenant_id="ten_a")
    assert await attempts.again(claim.hold, LOST, new_attempt_id=new_attempt_id, delay_seconds=0)
    assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.CANCELLED
    assert len(await attempts.of_task(task.id, tenant_id="ten_a")) == 1


@pytest.mark.parametrize("new_attempt_id", [None, "new"])
async def test_cancel_against_again_leaves_no_task_that_nobody_ends(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit, new_attempt_id: str | None
) -> None:
    for number in range(10):
        task = await submit()
        hold = (await claimed(attempts, task)).hold
        following = new_attempt_id and f"att_{number}"
        await asyncio.gather(
            attempts.again(hold, LOST, new_attempt_id=following, delay_seconds=0),
            tasks.cancel(task.id, tenant_id="ten_a"),
        )
        assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.CANCELLED


async def test_cancel_against_claim_has_one_outcome(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    for _ in range(10):
        task = await submit()
        claim, cancelled = await asyncio.gather(
            attempts.claim(task.id, owner="own_a", lease_seconds=60),
            tasks.cancel(task.id, tenant_id="ten_a"),
        )
        if claim is None:
            assert cancelled.status is TaskStatus.CANCELLED
        else:
            beat = await attempts.beat("own_a", [claim.hold], lease_seconds=60)
            assert beat.cancelled == {claim.hold}
