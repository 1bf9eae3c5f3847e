"""Every `AttemptStore` gives an attempt to one owner at a time, for as long as its lease holds."""

import asyncio
from datetime import timedelta

from tests.contract.stores.asked_of_tasks import claimed, types
from tests.contract.stores.conftest import Submit

from codexsys_core.attempt import AttemptStore
from codexsys_core.event import EventStore
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.task import TaskStore


async def test_a_claim_makes_the_task_run(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    assert claim.hold.writer == "a1-f1"
    assert claim.attempt.state is AttemptState.RUNNING
    assert claim.attempt.owner == "own_a"
    assert claim.task == await tasks.get(task.id, tenant_id="ten_a")
    assert claim.task.status is TaskStatus.RUNNING
    assert claim.task.started_at is not None
    assert await attempts.of_task(task.id, tenant_id="ten_a") == [claim.attempt]
    assert await types(events, task) == ["task.queued", "task.running"]


async def test_of_many_claims_one_wins(attempts: AttemptStore, submit: Submit) -> None:
    waiting = [await submit() for _ in range(5)]
    calls = [
        attempts.claim(task.id, owner=f"own_{number}", lease_seconds=60)
        for task in waiting
        for number in range(8)
    ]
    claims = [claim for claim in await asyncio.gather(*calls) if claim is not None]
    assert sorted(claim.hold.task_id for claim in claims) == sorted(task.id for task in waiting)
    assert {claim.hold.fence for claim in claims} == {1}


async def test_the_same_owner_does_not_claim_twice(attempts: AttemptStore, submit: Submit) -> None:
    task = await submit()
    await claimed(attempts, task)
    assert await attempts.claim(task.id, owner="own_a", lease_seconds=60) is None


async def test_what_is_not_there_is_not_claimed(attempts: AttemptStore) -> None:
    assert await attempts.claim("task_nowhere", owner="own_a", lease_seconds=60) is None


async def test_a_beat_renews_and_tells_what_is_lost(attempts: AttemptStore, submit: Submit) -> None:
    mine, theirs = await claimed(attempts, await submit()), await submit()
    other = await attempts.claim(theirs.id, owner="own_b", lease_seconds=60)
    assert other is not None
    stale = mine.hold.model_copy(update={"attempt_id": "att_gone"})
    beat = await attempts.beat("own_a", [mine.hold, other.hold, stale], lease_seconds=900)
    assert beat.lost == {other.hold, stale}
    assert beat.cancelled == frozenset()
    (renewed,) = await attempts.of_task(mine.hold.task_id, tenant_id="ten_a")
    assert mine.attempt.lease_until is not None
    assert renewed.lease_until is not None
    assert renewed.lease_until > mine.attempt.lease_until + timedelta(seconds=500)


async def test_what_was_lost_and_claimed_again_is_lost_under_the_former_fence_only(
    attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    former = (await claimed(attempts, task, lease_seconds=-1)).hold
    assert await attempts.take_over(grace_seconds=0, most=3, limit=10)
    now = (await claimed(attempts, task)).hold
    beat = await attempts.beat("own_a", [former, now], lease_seconds=60)
    assert beat.lost == {former}
    assert beat.cancelled == frozenset()


async def test_a_beat_without_holds_says_nothing(attempts: AttemptStore) -> None:
    beat = await attempts.beat("own_a", [], lease_seconds=1)
    assert (beat.lost, beat.cancelled) == (frozenset(), frozenset())


async def test_a_beat_renews_an_expired_lease_while_the_fence_stands(
    attempts: AttemptStore, submit: Submit
) -> None:
    claim = await claimed(attempts, await submit(), lease_seconds=-1)
    assert (await attempts.beat("own_a", [claim.hold], lease_seconds=60)).lost == frozenset()
    assert await attempts.take_over(grace_seconds=0, most=3, limit=10) == []
