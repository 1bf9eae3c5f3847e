"""A database, or one who uses it, that was silent for longer than a lease."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from tests.contract.stores.conftest import MakeTask, empty
from tests.support.distributed import eventually
from tests.support.fault_proxy import FaultProxy, Weather

from codexsys_adapters.sql.attempts.fenced import held
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.attempts.takeover import expired
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.spending.wallets import SqlWallet
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import Hold
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Unavailable
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.moves import Phase
from codexsys_relay.duties import Expired

pytestmark = pytest.mark.stack
LEASE = 2.0


@pytest.fixture(autouse=True)
def left_empty(mysql_database: str) -> Iterator[None]:
    """Leave no row to other tests."""
    yield
    asyncio.run(empty(mysql_database))


@asynccontextmanager
async def behind(proxy: FaultProxy, url: str) -> AsyncIterator[Database]:
    """Open the database as services see it, through the weather."""
    parts = urlsplit(url)
    there = parts._replace(netloc=f"{parts.netloc.partition('@')[0]}@127.0.0.1:{proxy.port}")
    async with Database(there.geturl(), answer_seconds=0.3) as database:
        yield database


async def again_and_again(step: Callable[[], Awaitable[object]], seconds: float) -> None:
    while True:
        try:
            await step()
        except (Unavailable, TimeoutError):
            continue  # as a service's loop does
        finally:
            await asyncio.sleep(seconds)


async def claimed(database: Database, make_task: MakeTask) -> Hold:
    task, attempt = make_task()
    await SqlTasks(database=database).add(task, attempt)
    attempts = SqlAttempts(database=database)
    claim = await attempts.claim(task.id, owner="own_a", lease_seconds=LEASE)
    assert claim is not None
    return claim.hold


async def test_who_could_not_renew_is_not_taken_for_dead(
    mysql_database: str, make_task: MakeTask
) -> None:
    url = urlsplit(mysql_database)
    async with (
        Database(mysql_database) as database,
        FaultProxy(str(url.hostname), int(url.port or 0)) as proxy,
        behind(proxy, mysql_database) as seen,
    ):
        hold = await claimed(database, make_task)
        attempts = SqlAttempts(database=seen)
        relay = Expired(
            attempts=attempts,
            wallet=SqlWallet(database=seen, ids=TimeOrderedIds(), clock=SystemClock()),
            clock=SystemClock(),
            lease_seconds=LEASE,
            grace_seconds=0,
            quiet_seconds=LEASE / 3,
        )

        async def ran_out() -> bool | None:
            return True if await database.look(lambda c: expired(c, 0, 1)) else None

        async def renewed() -> bool | None:
            return None if await ran_out() else True

        async def takeovers() -> int:
            (row,) = await SqlAttempts(database=database).of_task(
                hold.task_id, tenant_id=hold.tenant_id
            )
            return row.takeovers

        async def taken() -> bool | None:
            return True if await takeovers() else None

        relaying = asyncio.create_task(again_and_again(relay.once, 0.1))
        beating = asyncio.create_task(
            again_and_again(lambda: attempts.beat("own_a", [hold], lease_seconds=LEASE), LEASE / 3)
        )
        try:
            await asyncio.sleep(1.5 * LEASE)  # the relay has waited its first lease
            assert await renewed()
            proxy.turn(Weather.BLACK_HOLE)
            await eventually(ran_out, seconds=20, what="the lease has run out")
            proxy.turn(Weather.CLEAR)
            await eventually(renewed, seconds=20, what="the owner has renewed")
            assert await takeovers() == 0
            beating.cancel()
            await eventually(taken, seconds=20, what="an owner that is dead is taken over")
        finally:
            relaying.cancel()
            beating.cancel()
            await asyncio.gather(relaying, beating, return_exceptions=True)


async def test_who_froze_in_a_transaction_keeps_nobody_from_its_rows(
    mysql_database: str, make_task: MakeTask
) -> None:
    """A frozen process keeps its connections: only the server can end what it had begun."""
    async with Database(mysql_database) as database, Database(mysql_database) as frozen:
        hold = await claimed(database, make_task)
        attempts = SqlAttempts(database=database)

        async def moved() -> bool | None:
            try:
                return await attempts.move(hold, Phase.CODING) or None
            except Unavailable:
                return None  # the row was waited for in vain

        async def freeze() -> None:
            async with frozen.write() as connection:
                assert await held(connection, hold)
                await eventually(moved, seconds=30, what="the row is free")

        with pytest.raises(Unavailable):
            await freeze()
        beat = await SqlAttempts(database=frozen).beat("own_a", [hold], lease_seconds=LEASE)
        assert beat.lost == frozenset()  # thawed, it goes on with another connection
