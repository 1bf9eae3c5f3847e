"""`Rates` of one process, over Redis, and of both when Redis is away."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.contract.servers import REDIS, adapters, must_have
from tests.support.api_service import free_port

from codexsys_adapters.redis import RedisRates, open_redis
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Unavailable
from codexsys_core.rate import OwnRates, Rate, Rates, SteadyRates

SLOW = Rate("key", per_minute=60, burst=3)
QUICK = Rate("key", per_minute=1200, burst=2)
BROAD = Rate("key", per_minute=12_000, burst=100)


@pytest.fixture(params=["own", *adapters("memory", "redis", REDIS)])
async def rates(request: pytest.FixtureRequest) -> AsyncIterator[Rates]:
    if request.param == "own":
        yield OwnRates(clock=SystemClock())
        return
    url = "memory:" if request.param == "memory" else must_have(REDIS)
    async with open_redis(url, namespace=f"test-{uuid.uuid4().hex}") as connection:
        yield RedisRates(connection, answer_seconds=30)


async def test_a_burst_is_allowed_and_then_it_is_said_when_to_come_again(rates: Rates) -> None:
    assert [(await rates.take("one", SLOW)).remaining for _ in range(3)] == [2, 1, 0]
    refused = await rates.take("one", SLOW)
    assert refused.remaining == 0
    assert 0 < refused.retry_after <= SLOW.interval


async def test_who_waits_as_long_as_was_said_is_answered(rates: Rates) -> None:
    for _ in range(QUICK.burst):
        assert not (await rates.take("one", QUICK)).retry_after
    refused = await rates.take("one", QUICK)
    assert refused.retry_after
    await asyncio.sleep(refused.retry_after + 0.01)
    assert not (await rates.take("one", QUICK)).retry_after


async def test_refusals_cost_nothing(rates: Rates) -> None:
    found = [await rates.take("one", SLOW) for _ in range(SLOW.burst + 50)]
    assert found[-1].retry_after <= SLOW.interval


async def test_keys_do_not_disturb_each_other(rates: Rates) -> None:
    for _ in range(SLOW.burst + 1):
        await rates.take("one", SLOW)
    assert (await rates.take("two", SLOW)).remaining == 2


async def test_of_many_at_once_as_many_are_allowed_as_the_burst_has(rates: Rates) -> None:
    found = await asyncio.gather(*(rates.take("one", SLOW) for _ in range(10)))
    assert sum(not each.retry_after for each in found) == SLOW.burst


@pytest.fixture(params=adapters("memory", "redis", REDIS))
async def two(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Rates, Rates]]:
    url = "memory:" if request.param == "memory" else must_have(REDIS)
    namespace = f"test-{uuid.uuid4().hex}"
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(open_redis(url, namespace=namespace))
        again = open_redis(url, namespace=namespace)
        second = first if url == "memory:" else await stack.enter_async_context(again)
        yield RedisRates(first, answer_seconds=30), RedisRates(second, answer_seconds=30)


async def test_two_replicas_share_one_count(two: tuple[Rates, Rates]) -> None:
    found = [await rates.take("one", SLOW) for _ in range(2) for rates in two]
    assert [not each.retry_after for each in found] == [True, True, True, False]


async def test_what_a_replica_holds_back_is_bounded(two: tuple[Rates, Rates]) -> None:
    first, second = two
    await first.take("one", BROAD)
    allowed = 0
    while not (await second.take("one", BROAD)).retry_after:
        allowed += 1
    assert allowed >= BROAD.burst - 10


async def test_a_redis_that_is_away_is_said_and_the_own_count_stands_in() -> None:
    clock = SystemClock()
    async with open_redis(f"redis://127.0.0.1:{free_port()}/0") as connection:
        shared = RedisRates(connection)
        with pytest.raises(Unavailable):
            await shared.take("one", SLOW)
        steady = SteadyRates(shared=shared, own=OwnRates(clock=clock), clock=clock)
        found = [await steady.take("one", SLOW) for _ in range(4)]
    assert [not each.retry_after for each in found] == [True, True, True, False]
