"""The connection that reservations keep: it breaks, it is refused something, it ends with its database."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from tests.contract.stores.asked_of_tasks import eventually
from tests.contract.stores.conftest import empty

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.spending.wallets import SqlWallet
from codexsys_core.clock import SystemClock
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.limits import Limits
from codexsys_core.sandbox import Sandbox
from codexsys_core.wallet import Grant, Prices, Refusal

FREE = Prices(input_usd=0, output_usd=0)
_OTHERS = (
    "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
)


@pytest.fixture
def database_url(mysql_database: str) -> str:
    return mysql_database


@pytest.fixture
async def beside(mysql_database: str) -> AsyncIterator[Database]:
    """Another process's way to the same database; all rows are gone afterwards."""
    async with Database(mysql_database, pool_size=1) as other:
        yield other
    await empty(mysql_database)


@pytest.fixture
def wallet(database: Database) -> SqlWallet:
    return SqlWallet(database=database, ids=TimeOrderedIds(), clock=SystemClock())


async def _ask(wallet: SqlWallet, sandbox: Sandbox, tokens: int = 10) -> Grant | Refusal:
    return await wallet.reserve(
        sandbox, input_tokens=tokens, output_tokens=tokens, prices=FREE, seconds=60
    )


async def _connections(beside: Database) -> list[int]:
    async with beside.read() as connection:
        return list(await connection.scalars(text(_OTHERS)))


async def _number(wallet: SqlWallet, sandbox: Sandbox) -> int:
    answer = await _ask(wallet, sandbox)
    assert isinstance(answer, Grant)
    return answer.number


async def test_a_connection_that_was_ended_is_replaced(
    wallet: SqlWallet, sandbox: Sandbox, beside: Database
) -> None:
    assert await _number(wallet, sandbox) == 1
    async with beside.read() as connection:
        for other in list(await connection.scalars(text(_OTHERS))):
            await connection.execute(text(f"KILL {other}"))
    assert [await _number(wallet, sandbox) for _ in range(2)] == [2, 3]
    assert (await wallet.usage(sandbox.task_id)).calls == 3


@pytest.mark.parametrize("limits", [Limits(tokens=100)])
async def test_what_is_refused_leaves_nothing_behind(
    wallet: SqlWallet, sandbox: Sandbox, beside: Database
) -> None:
    assert await _number(wallet, sandbox) == 1
    before = await _connections(beside)
    refused = await _ask(wallet, sandbox, tokens=90)
    assert isinstance(refused, Refusal)
    assert (await wallet.usage(sandbox.task_id)).input_tokens == 10
    assert await _number(wallet, sandbox) == 2
    assert set(before) <= set(await _connections(beside)), "its connection serves on"


async def test_it_ends_with_its_database(
    mysql_database: str, sandbox: Sandbox, beside: Database
) -> None:
    async with Database(mysql_database) as opened:
        wallet = SqlWallet(database=opened, ids=TimeOrderedIds(), clock=SystemClock())
        before = set(await _connections(beside))
        assert await _number(wallet, sandbox) == 1
        own = set(await _connections(beside)) - before
        assert own

    async def gone() -> bool:
        return own.isdisjoint(await _connections(beside))

    assert await eventually(gone)
