"""`Hints` over Redis and its twin in the process."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import pytest
from tests.contract.servers import REDIS, adapters, must_have

from codexsys_adapters.redis import RedisHints, open_redis
from codexsys_core.errors import Unavailable


@pytest.fixture(params=adapters("memory", "redis", REDIS))
async def hints(request: pytest.FixtureRequest) -> AsyncIterator[RedisHints]:
    url = "memory:" if request.param == "memory" else must_have(REDIS)
    async with open_redis(url, namespace=f"test-{uuid.uuid4().hex}") as connection:
        yield RedisHints(connection)


async def test_all_listeners_of_a_topic_hear(hints: RedisHints) -> None:
    async with hints.listen("cancel") as one, hints.listen("cancel") as two:
        await hints.tell("cancel", "task_1")
        assert await asyncio.wait_for(anext(one), 10) == "task_1"
        assert await asyncio.wait_for(anext(two), 10) == "task_1"


async def test_other_topics_are_not_heard(hints: RedisHints) -> None:
    async with hints.listen("task:1") as heard:
        await hints.tell("task:2", "other")
        await hints.tell("task:1")
        assert await asyncio.wait_for(anext(heard), 10) == ""


async def test_what_was_told_before_is_not_seen(hints: RedisHints) -> None:
    await hints.tell("task:1", "before")
    async with hints.listen("task:1") as heard:
        await hints.tell("task:1", "after")
        assert await asyncio.wait_for(anext(heard), 10) == "after"


async def test_a_topic_can_be_left_and_entered_again(hints: RedisHints) -> None:
    for payload in ("one", "two"):
        async with hints.listen("task:1") as heard:
            await hints.tell("task:1", payload)
            assert await asyncio.wait_for(anext(heard), 10) == payload


async def test_a_wait_that_is_given_up_does_not_end_the_listening(hints: RedisHints) -> None:
    async with hints.listen("task:1") as heard:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(heard), 0.01)
        await hints.tell("task:1", "later")
        assert await asyncio.wait_for(anext(heard), 10) == "later"


async def test_a_slow_listener_stays_bounded(hints: RedisHints) -> None:
    async with hints.listen("task:1") as heard:
        for number in range(1000):
            await hints.tell("task:1", str(number))
        assert await asyncio.wait_for(anext(heard), 10) == "0"


async def test_ready(hints: RedisHints) -> None:
    await hints.ready()


async def test_away_is_silent_but_not_ready() -> None:
    async with open_redis("redis://127.0.0.1:1/0") as connection:
        hints = RedisHints(connection)
        await hints.tell("cancel", "task_1")
        with pytest.raises(Unavailable):
            await hints.ready()
        async with hints.listen("cancel") as heard:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(heard), 0.05)
