"""`ReadySet` over Redis and its twin in the process."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.servers import REDIS, adapters, must_have

from codexsys_adapters.redis import RedisReadySet, open_redis
from codexsys_core.errors import Unavailable
from codexsys_core.ready import AGING, Waiting, turn_at

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.fixture(params=adapters("memory", "redis", REDIS))
async def ready_set(request: pytest.FixtureRequest) -> AsyncIterator[RedisReadySet]:
    url = "memory:" if request.param == "memory" else must_have(REDIS)
    async with open_redis(url, namespace=f"test-{uuid.uuid4().hex}") as connection:
        found = RedisReadySet(connection)
        yield found
        while await found.pop():
            continue


def waiting(tenant: str, *tasks: str, priority: int = 5, after: float = 0) -> list[Waiting]:
    """Make entries that were queued one second after the other."""
    queued = [NOON + timedelta(seconds=after + number) for number in range(len(tasks))]
    return [
        Waiting(tenant, task, turn_at(at, priority)) for task, at in zip(tasks, queued, strict=True)
    ]


async def drained(ready_set: RedisReadySet, *, full: Collection[str] = ()) -> list[str]:
    taken = []
    while task_id := await ready_set.pop(full=full):
        taken.append(task_id)
    return taken


async def test_empty_gives_none(ready_set: RedisReadySet) -> None:
    assert await ready_set.pop() is None


async def test_priority_then_first_come(ready_set: RedisReadySet) -> None:
    await ready_set.add(waiting("a", "t1", "t3"))
    await ready_set.add(waiting("a", "t2", "t4", priority=0))
    assert await drained(ready_set) == ["t2", "t4", "t1", "t3"]


async def test_first_come_counts_not_first_added(ready_set: RedisReadySet) -> None:
    await ready_set.add(waiting("a", "late", after=60))
    await ready_set.add(waiting("a", "early"))
    assert await drained(ready_set) == ["early", "late"]


async def test_what_has_waited_long_comes_before_a_higher_priority(
    ready_set: RedisReadySet,
) -> None:
    nine_steps = 9 * AGING.total_seconds()
    await ready_set.add(waiting("a", "old", priority=9))
    await ready_set.add(waiting("a", "passes", priority=0, after=nine_steps - 1))
    await ready_set.add(waiting("a", "follows", priority=0, after=nine_steps + 1))
    assert await drained(ready_set) == ["passes", "old", "follows"]


async def test_tenants_take_turns(ready_set: RedisReadySet) -> None:
    await ready_set.add(waiting("a", "a0", "a1", "a2", priority=0))
    await ready_set.add(waiting("b", "b0", priority=9) + waiting("c", "c0", priority=9))
    assert await drained(ready_set) == ["a0", "b0", "c0", "a1", "a2"]


async def test_weights_say_how_often_a_turn_comes(ready_set: RedisReadySet) -> None:
    await ready_set.weigh({"a": 3, "b": 0.5})
    for tenant in "abc":
        await ready_set.add(waiting(tenant, *(f"{tenant}{n}" for n in range(90))))
    taken = [await ready_set.pop() for _ in range(90)]
    counts = {tenant: sum(str(task)[0] == tenant for task in taken) for tenant in "abc"}
    assert counts == {"a": 60, "b": 10, "c": 20}
    await ready_set.weigh({"a": 1, "b": 1})
    taken = [await ready_set.pop() for _ in range(30)]
    assert all(9 <= sum(str(task)[0] == tenant for task in taken) <= 11 for tenant in "abc")


async def test_a_tenant_gains_nothing_by_leaving_or_by_staying_away(
    ready_set: RedisReadySet,
) -> None:
    await ready_set.weigh({"light": 0.5})
    await ready_set.add(waiting("heavy", *(f"h{n}" for n in range(60))))
    taken = []
    for number in range(30):
        await ready_set.add(waiting("light", f"l{number}"))  # gone again, or there already
        taken.append(await ready_set.pop())
    assert sum(str(task)[0] == "l" for task in taken) == 10
    for _ in range(10):
        await ready_set.pop()
    await ready_set.add(waiting("late", "x0", "x1", "x2", "x3"))
    taken = [await ready_set.pop() for _ in range(6)]
    assert 2 <= sum(str(task)[0] == "x" for task in taken) <= 3


async def test_full_tenants_wait_and_block_nobody(ready_set: RedisReadySet) -> None:
    for number in range(200):
        await ready_set.add(waiting(f"full{number}", f"f{number}"))
    await ready_set.add(waiting("a", "a0", "a1"))
    full = [f"full{number}" for number in range(200)]
    assert await drained(ready_set, full=full) == ["a0", "a1"]
    assert await ready_set.pop(full=full) is None
    assert len(await drained(ready_set)) == 200


async def test_a_tenant_that_was_full_does_not_catch_up(ready_set: RedisReadySet) -> None:
    await ready_set.add(waiting("a", *(f"a{n}" for n in range(40))))
    await ready_set.add(waiting("b", *(f"b{n}" for n in range(40))))
    for _ in range(20):
        assert str(await ready_set.pop(full=["b"]))[0] == "a"
    taken = [await ready_set.pop() for _ in range(20)]
    assert 9 <= sum(str(task)[0] == "b" for task in taken) <= 11


async def test_add_counts_only_what_is_new(ready_set: RedisReadySet) -> None:
    assert await ready_set.add(waiting("a", "t1", "t1") + waiting("b", "t2")) == 2
    assert await ready_set.add(waiting("a", "t1", priority=0)) == 0
    assert await drained(ready_set) == ["t1", "t2"]


async def test_a_pop_forgets(ready_set: RedisReadySet) -> None:
    await ready_set.add(waiting("a", "t1"))
    await ready_set.pop()
    assert await ready_set.add(waiting("a", "t1")) == 1


async def test_discard_leaves_the_others(ready_set: RedisReadySet) -> None:
    await ready_set.add(waiting("a", "t1") + waiting("b", "t2", "t3"))
    await ready_set.discard("a", "t1")
    await ready_set.discard("a", "unknown")
    assert await drained(ready_set) == ["t2", "t3"]


async def test_each_task_is_popped_once(ready_set: RedisReadySet) -> None:
    await ready_set.add([entry for n in range(60) for entry in waiting(f"n{n % 3}", f"t{n}")])
    lists = await asyncio.gather(*(drained(ready_set) for _ in range(4)))
    taken = [task_id for one in lists for task_id in one]
    assert sorted(taken) == sorted(f"t{n}" for n in range(60))


async def test_add_wakes_who_waits(ready_set: RedisReadySet) -> None:
    assert await ready_set.pop() is None
    woken = asyncio.create_task(ready_set.wait(60))
    await ready_set.add(waiting("a", "t1"))
    await asyncio.wait_for(woken, 10)


async def test_wait_ends_by_itself(ready_set: RedisReadySet) -> None:
    assert await ready_set.pop() is None
    await asyncio.wait_for(ready_set.wait(0.05), 10)


async def test_away_is_unavailable() -> None:
    async with open_redis("redis://127.0.0.1:1/0") as connection:
        ready_set = RedisReadySet(connection)
        with pytest.raises(Unavailable):
            await ready_set.add(waiting("a", "t1"))
        with pytest.raises(Unavailable):
            await ready_set.pop()
        await ready_set.wait(0.05)
