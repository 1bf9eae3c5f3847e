"""Quotas are kept by submits and claims, and the counts beside them are those of the rows."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.contract.stores.conftest import MakeTask, Submit

from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_adapters.sql.tenants.quotas import SqlQuotas
from codexsys_core.attempt import Claim
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound, RateLimited
from codexsys_core.idempotency import Idempotency
from codexsys_core.outcome import Outcome
from codexsys_core.principal import Tenant
from codexsys_core.quota import AtCapacity, Quota
from codexsys_core.ready import AGING
from codexsys_core.task import Task, TaskQuery

LOST = Outcome(reason=EndReason.SANDBOX_LOST)


@pytest.fixture
async def quotas(database: Database) -> SqlQuotas:
    keys = SqlKeys(database=database)
    for name in ("a", "b"):
        await keys.add_tenant(Tenant(id=f"ten_{name}", name=name, created_at=datetime.now(UTC)))
    return SqlQuotas(database=database)


async def claim(database: Database, task: Task, *, max_running: int = 0) -> Claim | None:
    attempts = SqlAttempts(database=database, max_running=max_running)
    return await attempts.claim(task.id, owner="own_a", lease_seconds=300)


async def test_a_quota_is_kept_beside_its_tenant(quotas: SqlQuotas) -> None:
    quota = Quota(weight=2.5, max_running=3, max_queued=0)
    await quotas.set("ten_b", quota)
    first, second = await quotas.loads()
    assert (first.tenant.name, first.quota) == ("a", Quota())
    assert (second.tenant.name, second.quota) == ("b", quota)
    with pytest.raises(NotFound):
        await quotas.set("ten_c", quota)


async def test_loads_count_what_runs_and_what_waits(
    quotas: SqlQuotas, database: Database, submit: Submit
) -> None:
    first, _, _ = [await submit() for _ in range(3)]
    await claim(database, first)
    assert [(load.running, load.queued) for load in await quotas.loads()] == [(1, 2), (0, 0)]


async def test_room_is_told_of_tenants_that_run_something_under_a_cap(
    quotas: SqlQuotas, database: Database, submit: Submit
) -> None:
    assert await quotas.room() == {}
    for tenant in ("ten_a", "ten_a", "ten_b"):
        await claim(database, await submit(tenant=tenant))
    assert await quotas.room() == {}
    assert await SqlQuotas(database=database, max_running=5).room() == {"ten_a": 3, "ten_b": 4}
    await quotas.set("ten_a", Quota(max_running=1))
    await quotas.set("ten_b", Quota(max_running=0))
    assert await SqlQuotas(database=database, max_running=5).room() == {"ten_a": 0}


async def test_weights_are_told_of_tenants_that_wait(quotas: SqlQuotas, submit: Submit) -> None:
    await quotas.set("ten_a", Quota(weight=0.25))
    assert await quotas.weights() == {}
    await submit()
    assert await quotas.weights() == {"ten_a": 0.25}


async def test_claims_at_once_keep_the_cap(
    quotas: SqlQuotas, database: Database, submit: Submit
) -> None:
    await quotas.set("ten_a", Quota(max_running=2))
    waiting = [await submit() for _ in range(6)]
    other = await submit(tenant="ten_b")
    claims = await asyncio.gather(
        *(claim(database, task) for task in waiting), return_exceptions=True
    )
    assert sum(isinstance(each, Claim) for each in claims) == 2
    assert sum(isinstance(each, AtCapacity) for each in claims) == 4
    assert await claim(database, other) is not None
    assert (await quotas.loads())[0].queued == 4


async def test_a_claim_over_the_cap_changes_nothing(
    quotas: SqlQuotas, database: Database, submit: Submit
) -> None:
    held, task = await submit(), await submit()
    running = await claim(database, held, max_running=1)
    assert running is not None
    before = await SqlTasks(database=database).get(task.id, tenant_id="ten_a")
    with pytest.raises(AtCapacity) as caught:
        await claim(database, task, max_running=1)
    assert caught.value.tenant_id == "ten_a"
    assert await SqlTasks(database=database).get(task.id, tenant_id="ten_a") == before
    attempts = SqlAttempts(database=database)
    assert await attempts.again(running.hold, LOST, new_attempt_id=None, delay_seconds=600)
    assert await claim(database, task, max_running=1) is not None


async def test_a_full_queue_refuses(
    quotas: SqlQuotas, database: Database, make_task: MakeTask
) -> None:
    tasks = SqlTasks(database=database, max_queued=2)
    key = Idempotency(key="again", fingerprint="f" * 64)
    first = await tasks.add(*make_task(), key)
    await tasks.add(*make_task())
    with pytest.raises(RateLimited) as caught:
        await tasks.add(*make_task(), Idempotency(key="new", fingerprint="0" * 64))
    assert caught.value.code == "queue_full"
    assert caught.value.retry_after
    assert (await tasks.add(*make_task(), key)).id == first.id
    await tasks.add(*make_task(tenant="ten_b"))
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a"))) == 2
    await claim(database, first)
    await tasks.add(*make_task())
    await quotas.set("ten_a", Quota(max_queued=0))
    await tasks.add(*make_task())


async def test_submits_at_once_keep_a_tenants_own_cap(quotas: SqlQuotas, submit: Submit) -> None:
    await quotas.set("ten_a", Quota(max_queued=3))
    made = await asyncio.gather(
        *(submit() for _ in range(24)), submit(tenant="ten_b"), return_exceptions=True
    )
    assert sum(isinstance(each, RateLimited) for each in made) == 21
    assert [load.queued for load in await quotas.loads()] == [3, 1]


async def test_the_place_in_the_queue_is_that_of_the_order(
    database: Database, submit: Submit
) -> None:
    tasks, outbox = SqlTasks(database=database), SqlOutbox(database=database)
    low, high, middle = [await submit(priority=number) for number in (9, 0, 5)]
    assert [
        await tasks.queue_position(each.id, tenant_id="ten_a") for each in (low, high, middle)
    ] == [2, 0, 1]
    records = await outbox.waiting(limit=9)
    assert [record.task_id for record in records] == [high.id, middle.id, low.id]
    turns = [record.turn_at for record in records]
    assert turns == sorted(turns)
    assert turns[2] - turns[0] > 8 * AGING


async def test_a_retry_keeps_its_place(database: Database, submit: Submit) -> None:
    attempts, outbox = SqlAttempts(database=database), SqlOutbox(database=database)
    first, second = await submit(), await submit()
    held = await claim(database, first)
    assert held is not None
    await attempts.again(held.hold, LOST, new_attempt_id="att_second", delay_seconds=0)
    assert [record.task_id for record in await outbox.waiting(limit=9)] == [first.id, second.id]


async def test_a_long_queue_does_not_keep_the_others_out(
    database: Database, submit: Submit
) -> None:
    for _ in range(30):
        await submit()
    late = await submit(tenant="ten_b")
    records = await SqlOutbox(database=database).waiting(limit=4)
    assert late.id in {record.task_id for record in records}
    assert len(records) == 21
