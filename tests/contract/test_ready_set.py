"""`ReadySet` over Redis and its twin in the process."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from tests.contract.servers import REDIS, adapters, must_have

from codexsys_adapters.redis import RedisReadySet, open_redis
from codexsys_core.errors import Unavailable


@pytest.fixture(params=adapters("memory", "redis", REDIS))
async def ready_set(request: pytest.FixtureRequest) -> AsyncIterator[RedisReadySet]:
    url = "memory:" if request.param == "memory" else must_have(REDIS)
    async with open_redis(url, namespace=f"test-{uuid.uuid4().hex}") as connection:
        found = RedisReadySet(connection)
        yield found
        while await found.pop():
            continue


async def drained(ready_set: RedisReadySet) -> list[str]:
    taken = []
    while task_id := await ready_set.pop():
        taken.append(task_id)
    return taken


async def test_empty_gives_none(ready_set: RedisReadySet) -> None:
    assert await ready_set.pop() is None


async def test_priority_then_first_come(ready_set: RedisReadySet) -> None:
    await ready_set.add([("a", "t1", 5), ("a", "t2", 0), ("a", "t3", 5), ("a", "t4", 0)])
    assert await drained(ready_set) == ["t2", "t4", "t1", "t3"]


async def test_tenants_take_turns(ready_set: RedisReadySet) -> None:
    await ready_set.add([("a", f"a{n}", 0) for n in range(3)])
    await ready_set.add([("b", "b0", 9), ("c", "c0", 9)])
    assert await drained(ready_set) == ["a0", "b0", "c0", "a1", "a2"]


async def test_add_counts_only_what_is_new(ready_set: RedisReadySet) -> None:
    assert await ready_set.add([("a", "t1", 5), ("a", "t1", 0), ("b", "t2", 5)]) == 2
    assert await ready_set.add([("a", "t1", 5)]) == 0
    assert await drained(ready_set) == ["t1", "t2"]


async def test_a_pop_forgets(ready_set: RedisReadySet) -> None:
    await ready_set.add([("a", "t1", 5)])
    await ready_set.pop()
    assert await ready_set.add([("a", "t1", 5)]) == 1


async def test_discard_leaves_the_others(ready_set: RedisReadySet) -> None:
    await ready_set.add([("a", "t1", 5), ("b", "t2", 5), ("b", "t3", 5)])
    await ready_set.discard("a", "t1")
    await ready_set.discard("a", "unknown")
    assert await drained(ready_set) == ["t2", "t3"]


async def test_each_task_is_popped_once(ready_set: RedisReadySet) -> None:
    await ready_set.add([(f"n{n % 3}", f"t{n}", 5) for n in range(60)])
    lists = await asyncio.gather(*(drained(ready_set) for _ in range(4)))
    taken = [task_id for one in lists for task_id in one]
    assert sorted(taken) == sorted(f"t{n}" for n in range(60))


async def test_add_wakes_who_waits(ready_set: RedisReadySet) -> None:
    assert await ready_set.pop() is None
    waiting = asyncio.create_task(ready_set.wait(60))
    await ready_set.add([("a", "t1", 5)])
    await asyncio.wait_for(waiting, 10)


async def test_wait_ends_by_itself(ready_set: RedisReadySet) -> None:
    assert await ready_set.pop() is None
    await asyncio.wait_for(ready_set.wait(0.05), 10)


async def test_away_is_unavailable() -> None:
    async with open_redis("redis://127.0.0.1:1/0") as connection:
        ready_set = RedisReadySet(connection)
        with pytest.raises(Unavailable):
            await ready_set.add([("a", "t1", 5)])
        with pytest.raises(Unavailable):
            await ready_set.pop()
        await ready_set.wait(0.05)
