"""What the owner of an attempt may write, and nobody else."""

import asyncio
from datetime import timedelta

from tests.contract.stores.asked_of_tasks import DONE, LOST, claimed, eventually, types
from tests.contract.stores.conftest import Submit

from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_core.attempt import AttemptStore, Ending
from codexsys_core.event import EventStore
from codexsys_core.moves import AttemptState, Phase, TaskStatus
from codexsys_core.source import Base
from codexsys_core.task import TaskStore


async def test_phases_are_events_once_each(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    for phase in (Phase.CLONING, Phase.CLONING, Phase.SETUP):
        assert await attempts.move(claim.hold, phase)
    assert (await tasks.get(task.id, tenant_id="ten_a")).phase is Phase.SETUP
    assert (await types(events, task))[2:] == ["task.phase", "task.phase"]


async def test_the_base_is_set_once(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    base = Base(commit="1" * 40, tree="2" * 40)
    assert await attempts.set_base(claim.hold, base) == base
    other = Base(commit="3" * 40, tree="2" * 40, object="codexsys-code/elsewhere")
    assert await attempts.set_base(claim.hold, other) == base
    stored = base.model_copy(update={"object": "codexsys-code/here"})
    assert await attempts.set_base(claim.hold, stored) == stored
    assert await attempts.set_base(claim.hold, base) == stored
    assert (await tasks.get(task.id, tenant_id="ten_a")).base == stored


async def test_an_ending_is_whole(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    assert await outbox.result(task.id) is None
    assert await attempts.end(claim.hold, DONE)
    ended = await tasks.get(task.id, tenant_id="ten_a")
    assert (ended.status, ended.phase) == (TaskStatus.SUCCEEDED, None)
    assert (ended.verdict, ended.evidence, ended.diff) == (DONE.verdict, DONE.evidence, DONE.diff)
    assert ended.end == DONE.outcome
    assert ended.finished_at is not None
    assert await types(events, task) == ["task.queued", "task.running", "task.succeeded"]
    (attempt,) = await attempts.of_task(task.id, tenant_id="ten_a")
    assert (attempt.state, attempt.end) == (AttemptState.ENDED, DONE.outcome)
    record = await outbox.result(task.id)
    assert record is not None
    assert (record.seq, record.fence, record.attempt) == (ended.seq, 1, 1)
    assert (record.status, record.verdict, record.end_reason) == (
        "succeeded",
        "verified",
        "finished",
    )
    assert record.finished_at == ended.finished_at
    assert [each["name"] for each in record.artifacts] == ["diff.patch", "report.md"]


async def test_the_same_ending_again_is_true_and_changes_nothing(
    attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    assert await attempts.end(claim.hold, DONE)
    assert await attempts.end(claim.hold, DONE)
    other = Ending(status=TaskStatus.FAILED, outcome=LOST)
    assert not await attempts.end(claim.hold, other)
    assert len(await types(events, task)) == 3


async def test_of_two_endings_at_once_one_counts(
    attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    other = Ending(status=TaskStatus.FAILED, outcome=LOST)
    answers = await asyncio.gather(attempts.end(hold, DONE), attempts.end(hold, other))
    assert sorted(answers) == [False, True]
    assert len(await types(events, task)) == 3


async def test_a_stale_fence_changes_nothing(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    stale = (await claimed(attempts, task)).hold
    assert await attempts.again(stale, LOST, new_attempt_id=None, delay_seconds=0)
    fresh = (await claimed(attempts, task)).hold
    assert fresh.fence == stale.fence + 1
    before = await tasks.get(task.id, tenant_id="ten_a")
    assert not await attempts.move(stale, Phase.CODING)
    assert await attempts.set_base(stale, Base(commit="1" * 40, tree="2" * 40)) is None
    assert not await attempts.end(stale, DONE)
    assert not await attempts.again(stale, LOST, new_attempt_id=None, delay_seconds=0)
    assert not await attempts.again(stale, LOST, new_attempt_id="att_new", delay_seconds=0)
    assert (await attempts.beat("own_a", [stale], lease_seconds=9)).lost == {stale}
    assert await tasks.get(task.id, tenant_id="ten_a") == before
    assert await attempts.move(fresh, Phase.CODING)


async def test_again_with_a_new_id_is_another_attempt(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    first = (await claimed(attempts, task)).hold
    for _ in range(2):  # the second is the same call after an unknown answer
        assert await attempts.again(first, LOST, new_attempt_id="att_second", delay_seconds=0)
    queued = await tasks.get(task.id, tenant_id="ten_a")
    assert (queued.status, queued.attempt, queued.phase) == (TaskStatus.QUEUED, 2, None)
    ended, waiting = await attempts.of_task(task.id, tenant_id="ten_a")
    assert (ended.state, ended.end) == (AttemptState.ENDED, LOST)
    assert (waiting.id, waiting.number, waiting.state) == ("att_second", 2, AttemptState.QUEUED)
    second = await claimed(attempts, task)
    assert second.hold.writer == "a2-f1"
    assert (await types(events, task))[2:] == ["task.attempt_ended", "task.running"]


async def test_again_waits_for_its_delay(
    attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    assert await attempts.again(hold, LOST, new_attempt_id=None, delay_seconds=0.5)
    (row,) = await attempts.of_task(task.id, tenant_id="ten_a")
    claim = await eventually(lambda: attempts.claim(task.id, owner="own_a", lease_seconds=60))
    (later,) = await attempts.of_task(task.id, tenant_id="ten_a")
    assert row.due_at is not None
    assert later.lease_until is not None
    assert later.lease_until - timedelta(seconds=60) >= row.due_at
    assert claim is not None
    assert claim.hold.fence == 2


async def test_two_attempts_of_a_task_share_its_row_in_any_order_of_calls(
    attempts: AttemptStore, events: EventStore, tasks: TaskStore, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    await asyncio.gather(
        *(attempts.move(hold, phase) for phase in Phase),
        tasks.cancel(task.id, tenant_id="ten_a"),
        attempts.beat("own_a", [hold], lease_seconds=60),
    )
    assert len(await types(events, task)) == 2 + len(Phase) + 1
