"""What tasks may spend: reserved in one conditional update, settled once."""

from datetime import UTC, date

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.spending.days import Days
from codexsys_adapters.sql.spending.reserving import Reserving
from codexsys_adapters.sql.spending.settling import Settling, Used
from codexsys_adapters.sql.spending.worst_case import MILLION, Call, rates_of
from codexsys_adapters.sql.tables import RESERVATIONS, WALLETS
from codexsys_adapters.sql.times import now_sql
from codexsys_core.clock import Clock
from codexsys_core.errors import NotFound
from codexsys_core.ids import Ids
from codexsys_core.sandbox import Sandbox
from codexsys_core.task import Usage
from codexsys_core.wallet import NO_DAY_LIMITS, DayLimits, Grant, Prices, Refusal, TenantDay


class SqlWallet:
    """A `Wallet` on SQL."""

    def __init__(
        self, *, database: Database, ids: Ids, clock: Clock, limits: DayLimits = NO_DAY_LIMITS
    ) -> None:
        self._database = database
        self._ids = ids
        self._clock = clock
        self._days = Days(database, limits)
        self._reserving = Reserving(database, self._days)
        self._settling = Settling(database, self._days)

    async def reserve(
        self,
        sandbox: Sandbox,
        *,
        input_tokens: int,
        output_tokens: int,
        prices: Prices | None,
        seconds: float,
    ) -> Grant | Refusal:
        """Reserve the worst case."""
        call = Call(
            id=self._ids.new("res"),
            task_id=sandbox.task_id,
            sandbox_id=sandbox.id,
            tenant_id=sandbox.tenant_id,
            day=self._today(),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            rates=rates_of(prices),
            priced=prices is not None,
            seconds=seconds,
        )
        return await self._reserving.reserve(call)

    async def settle(
        self, grant: Grant, usage: Usage | None, *, prices: Prices | None = None
    ) -> None:
        """Replace the reservation by what was used."""
        await self._settling.settle(Used(grant.id, usage, rates_of(prices) if prices else None))

    async def settle_overdue(self, *, limit: int) -> int:
        """Settle in full what was reserved for longer than its call may take."""
        row = RESERVATIONS.c
        overdue = (
            select(row.id)
            .where(row.settled_at.is_(None), row.until < now_sql())
            .order_by(row.until)
            .limit(limit)
        )

        async def statements(connection: AsyncConnection) -> list[str]:
            return list(await connection.scalars(overdue))

        found = await self._database.look(statements)
        return sum(await self._settling.settle_all([Used(each) for each in found]))

    async def usage(self, task_id: str) -> Usage:
        """Return what the task has used, with what is reserved as if it were used."""
        row = RESERVATIONS.c
        open_calls = select(func.sum(row.input_tokens), func.sum(row.output_tokens)).where(
            row.task_id == task_id, row.settled_at.is_(None)
        )

        async def statements(connection: AsyncConnection) -> Usage:
            wallet = (
                await connection.execute(select(WALLETS).where(WALLETS.c.task_id == task_id))
            ).one_or_none()
            if wallet is None:
                raise NotFound("There is no such task.")
            reserved_input, reserved_output = (await connection.execute(open_calls)).one()
            return Usage(
                calls=wallet.calls,
                input_tokens=wallet.input_tokens + int(reserved_input or 0),
                output_tokens=wallet.output_tokens + int(reserved_output or 0),
                cached_tokens=wallet.cached_tokens,
                cost_usd=(wallet.micros + wallet.reserved_micros) / MILLION,
            )

        return await self._database.look(statements)

    async def today(self, tenant_id: str) -> TenantDay:
        """Return what a tenant has used today, in UTC, and how much it may."""
        return await self._database.look(
            lambda connection: self._days.of(connection, tenant_id, self._today())
        )

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()
