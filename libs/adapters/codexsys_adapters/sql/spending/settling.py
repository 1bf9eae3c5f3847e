"""Settling: a reservation becomes what was used, once, and those that end at the same moment in one transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickChange, QuickRead, QuickUpdate, change
from codexsys_adapters.sql.spending.days import Days
from codexsys_adapters.sql.spending.worst_case import Rates
from codexsys_adapters.sql.tables import RESERVATIONS, WALLETS
from codexsys_adapters.sql.times import now_sql
from codexsys_core.task import Usage
from codexsys_core.together import Together

_RESERVED = (
    "id",
    "task_id",
    "input_tokens",
    "output_tokens",
    "micros",
    "price_input",
    "price_output",
    "price_cached",
    "tenant_id",
    "day",
)
_CHANGED = (
    "reserved_tokens",
    "reserved_micros",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "micros",
)


class Used(NamedTuple):
    """What became of a reservation; without usage all of it was used."""

    id: str
    usage: Usage | None = None
    rates: Rates | None = None


class Settling:
    """Closes reservations and pays for them."""

    def __init__(self, database: Database, days: Days) -> None:
        self._database = database
        self._days = days
        row = RESERVATIONS.c
        # By its key: an index of those that are open would have everybody's locked.
        open_ones = (
            select(*(row[name] for name in _RESERVED))
            .where(row.settled_at.is_(None))
            .with_for_update()
            .with_hint(RESERVATIONS, "FORCE INDEX (PRIMARY)", "mysql")
        )
        self._open = QuickRead(database, open_ones, row.id)
        self._close = QuickUpdate(
            database, update(RESERVATIONS).values(settled_at=now_sql()), row.id
        )
        more = {name: WALLETS.c[name] + bindparam(f"more_{name}") for name in _CHANGED}
        pay = update(WALLETS).where(WALLETS.c.task_id == bindparam("wanted")).values(more)
        self._pay = QuickChange(database, pay)
        self._asked: Together[Used, bool] = Together(self.settle_all)

    async def settle(self, used: Used) -> bool:
        """Settle one; False when it was settled before."""
        return await self._asked.ask(used)

    async def settle_all(self, used: Sequence[Used]) -> list[bool]:
        """Settle some in one transaction."""
        if not used:
            return []
        by_id = {each.id: each for each in reversed(used)}

        async def statements(connection: AsyncConnection) -> set[str]:
            found = [_Reserved(*row) for row in await self._open.on(connection, by_id)]
            if not found:
                return set()
            await self._close.on(connection, [row.id for row in found])
            await self._paid(connection, [(row, _used(row, by_id[row.id])) for row in found])
            return {row.id for row in found}

        closed = await self._database.transact(statements)
        return [each.id in closed for each in used]

    async def _paid(
        self, connection: AsyncConnection, rows: Sequence[tuple["_Reserved", dict[str, int]]]
    ) -> None:
        """Add what was used to wallets, then to days; locks are taken in one order."""
        wallets: dict[str, Counter[str]] = {}
        days: dict[tuple[str, date], Counter[str]] = {}
        for row, used in rows:
            wallets.setdefault(row.task_id, Counter()).update(used)
            if row.tenant_id is not None and row.day is not None:
                tokens = used["input_tokens"] + used["output_tokens"]
                of_day = days.setdefault((row.tenant_id, row.day), Counter())
                of_day.update(used | {"tokens": tokens})
        pays = [
            (self._pay, {"wanted": task_id, **{f"more_{name}": sums[name] for name in _CHANGED}})
            for task_id, sums in sorted(wallets.items())
        ]
        paid = [self._days.paid(*of, sums) for of, sums in sorted(days.items())]
        await change(connection, [*pays, *paid])


class _Reserved(NamedTuple):
    id: str
    task_id: str
    input_tokens: int
    output_tokens: int
    micros: int
    price_input: int
    price_output: int
    price_cached: int
    tenant_id: str | None
    day: date | None
    """None of both of those that an older version made."""


def _used(reserved: _Reserved, used: Used) -> dict[str, int]:
    """Return what is added to the wallet once a reservation is settled."""
    rates = Rates(reserved.price_input, reserved.price_output, reserved.price_cached)
    usage = used.usage
    if usage is None:
        usage = Usage(input_tokens=reserved.input_tokens, output_tokens=reserved.output_tokens)
    elif used.rates is not None:
        rates = used.rates
    return {
        "reserved_tokens": -reserved.input_tokens - reserved.output_tokens,
        "reserved_micros": -reserved.micros,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "micros": rates.micros(usage.input_tokens, usage.output_tokens, usage.cached_tokens),
    }
