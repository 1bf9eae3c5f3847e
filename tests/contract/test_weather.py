"""What adapters make of a server that is cut off, rude, or says nothing: our error in time, and then they go on.

On the loop of the services, whose transports fail in ways of their own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop
from sqlalchemy import ColumnClause, column, select, table, text
from tests.contract.servers import REDIS, S3_KEY, S3_SECRET, S3_URL, adapters, must_have
from tests.support.fault_proxy import FaultProxy, Weather

from codexsys_adapters.redis import RedisHints, RedisReadySet, open_redis
from codexsys_adapters.s3 import S3Objects
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickRead, Reads
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Unavailable

MYSQL = "CODEXSYS_TEST_MYSQL_URL"
CODE_BUCKET = "codexsys-code"
BAD = [weather for weather in Weather if weather not in (Weather.CLEAR, Weather.LATENCY)]
# Without servers named there is nothing that weather could come between.
REAL = adapters("", "real", MYSQL, REDIS, S3_URL)[1:]
DATABASE_SECONDS = 1.0

Use = Callable[[], Awaitable[object]]
Part = Callable[[FaultProxy], AbstractAsyncContextManager[Use]]


def _through(proxy: FaultProxy) -> Database:
    url = urlsplit(must_have(MYSQL))
    there = url._replace(netloc=f"{url.netloc.partition('@')[0]}@127.0.0.1:{proxy.port}").geturl()
    return Database(there, pool_size=2, answer_seconds=DATABASE_SECONDS)


@asynccontextmanager
async def database(proxy: FaultProxy) -> AsyncIterator[Use]:
    async with _through(proxy) as opened:
        yield opened.ready


@asynccontextmanager
async def quick_reads(proxy: FaultProxy) -> AsyncIterator[Use]:
    """What polls read, past SQLAlchemy."""
    name: ColumnClause[str] = column("SCHEMA_NAME")
    named = select(name).select_from(table("SCHEMATA", name, schema="information_schema"))
    async with _through(proxy) as opened:
        reads, schemata = Reads(opened), QuickRead(opened, named, name)

        async def use() -> None:
            asked = ("information_schema", "no such")
            rows = await asyncio.gather(*(reads.row(schemata, each) for each in asked))
            assert rows == [("information_schema",), None]

        yield use


@asynccontextmanager
async def ready_set(proxy: FaultProxy) -> AsyncIterator[Use]:
    async with open_redis(f"redis://127.0.0.1:{proxy.port}/9") as connection:
        yield RedisReadySet(connection).pop


@asynccontextmanager
async def hints(proxy: FaultProxy) -> AsyncIterator[Use]:
    async with open_redis(f"redis://127.0.0.1:{proxy.port}/9") as connection:
        yield RedisHints(connection).ready


@asynccontextmanager
async def objects(proxy: FaultProxy) -> AsyncIterator[Use]:
    store = S3Objects(
        url=f"s3://127.0.0.1:{proxy.port}",
        access_key=must_have(S3_KEY),
        secret_key=must_have(S3_SECRET),
        public_url="",
        bucket_suffix="-weather",
        clock=SystemClock(),
        answer_seconds=1,
    )
    async with store as opened:
        yield opened.ready


@asynccontextmanager
async def impatient(proxy: FaultProxy) -> AsyncIterator[Use]:
    """A store as an API uses it: the driver would wait for much longer than the one who asks."""
    store = S3Objects(
        url=f"s3://127.0.0.1:{proxy.port}",
        access_key=must_have(S3_KEY),
        secret_key=must_have(S3_SECRET),
        public_url="",
        bucket_suffix="-weather",
        clock=SystemClock(),
        answer_seconds=30,
        silence_seconds=0.6,
    )
    async with store as opened:
        yield lambda: opened.put(f"{CODE_BUCKET}/weather/large", bytes(400_000))


PARTS: dict[str, tuple[str, Part]] = {
    "database": (MYSQL, database),
    "quick reads": (MYSQL, quick_reads),
    "ready set": (REDIS, ready_set),
    "hints": (REDIS, hints),
    "objects": (S3_URL, objects),
    "impatient objects": (S3_URL, impatient),
}


def on_the_services_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a test as a service would."""
    uvloop.run(asyncio.wait_for(work, 100))


@asynccontextmanager
async def between(name: str) -> AsyncIterator[tuple[FaultProxy, Use]]:
    variable, part = PARTS[name]
    url = urlsplit(must_have(variable))
    async with FaultProxy(str(url.hostname), int(url.port or 0)) as proxy, part(proxy) as use:
        yield proxy, use


async def works_again(use: Use) -> None:
    async with asyncio.timeout(40):
        while True:
            try:
                await use()
            except Unavailable:
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.stack
@pytest.mark.parametrize("real", REAL)
@pytest.mark.parametrize("weather", BAD)
@pytest.mark.parametrize("name", [name for name in PARTS if name != "impatient objects"])
def test_bad_weather_is_unavailable_at_most_and_passes(
    name: str, weather: Weather, real: str
) -> None:
    async def story() -> None:
        async with between(name) as (proxy, use):
            await asyncio.gather(use(), use())
            for noticed in (False, True):
                proxy.turn(weather, seconds=0.01)
                if noticed and weather in (Weather.CUT, Weather.RESET):
                    await proxy.ended()
                for end in await asyncio.gather(use(), use(), return_exceptions=True):
                    assert end is None or isinstance(end, Unavailable | str | tuple), repr(end)
                proxy.turn(Weather.CLEAR)
                await works_again(use)

    on_the_services_loop(story())


@pytest.mark.stack
@pytest.mark.parametrize("real", REAL)
def test_a_hint_into_bad_weather_is_lost_and_nobody_is_told(real: str) -> None:
    async def story() -> None:
        url = urlsplit(must_have(REDIS))
        async with (
            FaultProxy(str(url.hostname), int(url.port or 0)) as proxy,
            open_redis(f"redis://127.0.0.1:{proxy.port}/9") as connection,
        ):
            hints = RedisHints(connection)
            for weather in BAD:
                proxy.turn(Weather.CLEAR)
                await works_again(hints.ready)
                proxy.turn(weather, seconds=0.01)
                if weather in (Weather.CUT, Weather.RESET):
                    await proxy.ended()
                await hints.tell("cancel", "task_1")

    on_the_services_loop(story())


@pytest.mark.stack
@pytest.mark.parametrize("real", REAL)
def test_a_database_in_a_black_hole_answers_in_time_and_holds_nobody_else_up(real: str) -> None:
    """More wait than there are connections: each hears in time that it must come back."""

    async def story() -> None:
        async with between("database") as (proxy, use):
            await use()
            proxy.turn(Weather.BLACK_HOLE)
            begun = asyncio.get_running_loop().time()
            ends = await asyncio.gather(*(use() for _ in range(12)), return_exceptions=True)
            took = asyncio.get_running_loop().time() - begun
            assert all(isinstance(end, Unavailable) for end in ends), ends
            assert {getattr(end, "retry_after", None) for end in ends} == {2}
            assert took < 10 * DATABASE_SECONDS, took
            proxy.turn(Weather.CLEAR)
            await works_again(use)

    on_the_services_loop(story())


@pytest.mark.stack
@pytest.mark.parametrize("_", REAL)
def test_a_burst_waits_for_connections_as_long_as_the_database_answers(_: str) -> None:
    async def burst() -> None:
        slowly = text("SELECT SLEEP(0.05)")
        async with Database(must_have(MYSQL), pool_size=2, answer_seconds=0.3) as opened:
            many = (opened.look(lambda connection: connection.execute(slowly)) for _ in range(30))
            assert len(await asyncio.gather(*many)) == 30
            with pytest.raises(Unavailable):
                await opened.look(lambda connection: connection.execute(text("SELECT SLEEP(20)")))

    on_the_services_loop(burst())


@pytest.mark.stack
@pytest.mark.parametrize("_", REAL)
def test_a_database_that_lets_one_in_is_not_silent(_: str) -> None:
    """Each step of the way in is short; all together take longer than silence may."""

    async def story() -> None:
        url = urlsplit(must_have(MYSQL))
        async with (
            FaultProxy(str(url.hostname), int(url.port or 0)) as proxy,
            _through(proxy) as opened,
        ):
            proxy.turn(Weather.LATENCY, seconds=DATABASE_SECONDS / 8)
            await opened.ready()

    on_the_services_loop(story())


@pytest.mark.stack
@pytest.mark.parametrize("_", REAL)
def test_a_write_that_hangs_is_given_up_though_reads_are_answered(_: str) -> None:
    """As on a full disk: MariaDB holds commits then, and answers all else."""

    async def story() -> None:
        held = text("SELECT GET_LOCK('weather', 30)")
        async with Database(must_have(MYSQL), answer_seconds=0.5) as opened:

            async def read() -> None:
                while True:
                    await opened.ready()
                    await asyncio.sleep(0.05)

            async with opened.read() as holder:
                await holder.execute(held)
                reading = asyncio.create_task(read())
                with pytest.raises(Unavailable):
                    async with asyncio.timeout(3):
                        await opened.transact(lambda connection: connection.execute(held))
                assert opened.refusals.recent
                assert not reading.done()
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
                await holder.execute(text("SELECT RELEASE_LOCK('weather')"))

    on_the_services_loop(story())


@pytest.mark.stack
@pytest.mark.parametrize("real", REAL)
def test_a_patient_database_is_waited_for(real: str) -> None:
    async def story() -> None:
        url = urlsplit(must_have(MYSQL))
        async with FaultProxy(str(url.hostname), int(url.port or 0)) as proxy:
            there = url._replace(netloc=f"{url.netloc.partition('@')[0]}@127.0.0.1:{proxy.port}")
            async with Database(there.geturl(), answer_seconds=0.3, patient=True) as opened:
                one = text("SELECT 1")
                for weather in (Weather.CUT, Weather.BLACK_HOLE):
                    proxy.turn(weather)
                    asked = [
                        asyncio.create_task(ask(lambda connection: connection.execute(one)))
                        for ask in (opened.look, opened.transact)
                    ]
                    done, _ = await asyncio.wait(asked, timeout=1)
                    assert not done
                    proxy.turn(Weather.CLEAR)
                    await asyncio.gather(*asked)

    on_the_services_loop(story())


@pytest.mark.stack
@pytest.mark.parametrize("real", REAL)
def test_a_silent_store_holds_nobody_up_and_a_slow_one_is_waited_for(real: str) -> None:
    async def story() -> None:
        async with between("impatient objects") as (proxy, put):
            await put()
            proxy.turn(Weather.SLOW, seconds=0.01)
            await put()  # some two seconds, in which the store says that it lives
            proxy.turn(Weather.BLACK_HOLE)
            with pytest.raises(Unavailable):
                async with asyncio.timeout(8):
                    await put()
            proxy.turn(Weather.CLEAR)
            await works_again(put)

    on_the_services_loop(story())


@pytest.mark.stack
@pytest.mark.parametrize("real", REAL)
def test_many_hints_into_silence_hold_nobody_up(real: str) -> None:
    async def story() -> None:
        url = urlsplit(must_have(REDIS))
        async with (
            FaultProxy(str(url.hostname), int(url.port or 0)) as proxy,
            open_redis(f"redis://127.0.0.1:{proxy.port}/9") as connection,
        ):
            hints = RedisHints(connection)
            await hints.ready()
            proxy.turn(Weather.BLACK_HOLE)
            async with asyncio.timeout(8):
                for _ in range(100):
                    await hints.tell("cancel", "task_1")
            proxy.turn(Weather.CLEAR)
            await works_again(hints.ready)

    on_the_services_loop(story())
