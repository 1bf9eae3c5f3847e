"""Reserving: each call by one conditional update, and those that come at the same moment in one transaction."""

from collections.abc import Container, Sequence
from typing import Any

from sqlalchemy import Float, Update, bindparam, insert, select
from sqlalchemy import update as updating
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickChange, QuickInsert, QuickRead, change
from codexsys_adapters.sql.spending.days import Days
from codexsys_adapters.sql.spending.taking import ROW, TERMINAL, NotAll, Taking, ordered, row, wish
from codexsys_adapters.sql.spending.worst_case import Call
from codexsys_adapters.sql.tables import ATTEMPTS, RESERVATIONS, SANDBOXES, TASKS, WALLETS
from codexsys_adapters.sql.times import after_sql
from codexsys_core.moves import TaskStatus
from codexsys_core.sandbox import SandboxState
from codexsys_core.together import Together
from codexsys_core.wallet import NO_LIMIT_MICROS, Grant, Refusal


class Reserving:
    """Takes what calls may cost at most out of their tasks' wallets, and their tenants' days.

    A call that is allowed as it is asked for goes with all others of its moment. One that is not
    waits for nobody and holds up nobody: why, and what would be allowed, is found out alone.
    """

    def __init__(self, database: Database, days: Days) -> None:
        self._database = database
        self._days = days
        self._taking = Taking(database, days)
        self._kept = database.kept()
        self._give_back = QuickChange(database, _giving_back())
        until = after_sql(bindparam("seconds", type_=Float))
        self._rows = QuickInsert(database, insert(RESERVATIONS).values(until=until), ROW)
        self._stored = QuickRead(
            database, select(RESERVATIONS.c.id, RESERVATIONS.c.number), RESERVATIONS.c.id
        )
        self._asked: Together[Call, Grant | None] = Together(self._some)

    async def reserve(self, call: Call) -> Grant | Refusal:
        """Reserve a call, less of it, or nothing."""
        return await self._asked.ask(call) or await self._alone(call)

    async def _some(self, calls: Sequence[Call]) -> list[Grant | None]:
        if self._taking.at_once:
            try:
                granted = await self._all(calls)
            except NotAll:
                pass
            else:
                return [granted[call.id] for call in calls]
        return await self._each(calls)

    async def _all(self, calls: Sequence[Call]) -> dict[str, Grant]:
        """Reserve all calls, by one message; raises `NotAll`, and nothing is."""
        again = False

        async def statements(connection: AsyncConnection) -> dict[str, Grant]:
            nonlocal again
            if again and (granted := await self._granted(connection, calls)):
                return granted  # all of them: they share a commit
            again = True
            if len(calls) == 1:
                numbers = {calls[0].id: await self._taking.one(connection, calls[0])}
            else:
                numbers = await self._taking.all(connection, calls)
            return {call.id: _grant(call, numbers[call.id]) for call in calls}

        kept = self._kept if len(calls) == 1 else None  # several commit once all were looked at
        return await self._database.transact(statements, kept=kept)

    async def _each(self, calls: Sequence[Call]) -> list[Grant | None]:
        """Reserve those calls that are allowed."""
        again = False

        async def statements(connection: AsyncConnection) -> dict[str, Grant]:
            nonlocal again
            granted = await self._granted(connection, calls) if again else {}
            again = True
            return granted | await self._take(
                connection, [call for call in calls if call.id not in granted]
            )

        granted = await self._database.transact(statements)
        return [granted.get(call.id) for call in calls]

    async def _alone(self, call: Call) -> Grant | Refusal:
        again = False

        async def statements(connection: AsyncConnection) -> Grant | Refusal:
            nonlocal again
            if again and (granted := await self._granted(connection, [call])):
                return granted[call.id]
            again = True
            # Wallet and day are locked from here on, so what is left stays left.
            answer = await _what_is_left(connection, call, self._days)
            if isinstance(answer, Refusal):
                return answer
            taken = await self._take(connection, [answer])
            return taken.get(call.id) or Refusal(code="token_revoked")

        return await self._database.transact(statements)

    async def _take(self, connection: AsyncConnection, calls: Sequence[Call]) -> dict[str, Grant]:
        """Reserve those that are allowed, and return their grants by id."""
        in_order, days = ordered(calls)
        asked = [(self._taking.takes[call.priced], wish(call)) for call in in_order]
        done = await change(connection, [*asked, *map(self._days.asked, days)])
        told = {
            call.id: each.told for call, each in zip(in_order, done, strict=False) if each.matched
        }
        taken = await _numbers(connection, [call for call in in_order if call.id in told], told)
        allowed: list[Call] = []
        for some, day in zip(days, done[len(in_order) :], strict=True):
            allowed += await self._allowed(connection, some, taken, of_day=bool(day.matched))
        await self._rows.add(connection, [row(call, taken[call.id]) for call in allowed])
        return {call.id: _grant(call, taken[call.id]) for call in allowed}

    async def _allowed(
        self,
        connection: AsyncConnection,
        calls: Sequence[Call],
        taken: Container[str],
        *,
        of_day: bool,
    ) -> Sequence[Call]:
        """Return those calls of a day that are in their wallets and in it, and undo all else."""
        some = [call for call in calls if call.id in taken]
        others = [call for call in calls if call.id not in taken]
        if of_day and others:
            await self._days.give_back(connection, others)
        if not some or of_day or await self._days.reserve(connection, some):
            return some
        await change(connection, [(self._give_back, wish(call)) for call in some])
        return []

    async def _granted(
        self, connection: AsyncConnection, calls: Sequence[Call]
    ) -> dict[str, Grant]:
        """Return the grants of reservations that are there, also those whose commit went unanswered."""
        rows = await self._stored.on(connection, [call.id for call in calls])
        numbers = {row[0]: row[1] for row in rows}
        return {call.id: _grant(call, numbers[call.id]) for call in calls if call.id in numbers}


def _giving_back() -> Update:
    wallet = WALLETS.c
    task_id = select(SANDBOXES.c.task_id).where(SANDBOXES.c.id == bindparam("sandbox"))
    return (
        updating(WALLETS)
        .where(wallet.task_id == task_id.scalar_subquery())
        .values(
            calls=wallet.calls - 1,
            reserved_tokens=wallet.reserved_tokens - bindparam("most_tokens"),
            reserved_micros=wallet.reserved_micros - bindparam("most_micros"),
        )
    )


async def _numbers(
    connection: AsyncConnection, calls: Sequence[Call], told: dict[str, int]
) -> dict[str, int]:
    """Return the numbers of calls that were taken just now in this order, also where no statement told."""
    if all(told.values()):
        return told
    numbers, last = {}, dict[str, int]()
    for call in reversed(calls):
        if call.task_id not in last:
            last[call.task_id] = (
                await connection.execute(_CALLS, {"wanted": call.task_id})
            ).scalar_one()
        numbers[call.id] = last[call.task_id]
        last[call.task_id] -= 1
    return numbers


def _grant(call: Call, number: int) -> Grant:
    return Grant(
        id=call.id,
        task_id=call.task_id,
        sandbox_id=call.sandbox_id,
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        number=number,
    )


async def _what_is_left(connection: AsyncConnection, call: Call, days: Days) -> Call | Refusal:
    """Find out why nothing was reserved: return what would be allowed, or the refusal."""
    if refusal := await _stopped(connection, call.sandbox_id):
        return refusal
    statement = select(WALLETS).where(WALLETS.c.task_id == call.task_id).with_for_update()
    wallet: Any = (await connection.execute(statement)).one_or_none()
    if wallet is None:
        return Refusal(code="token_revoked")
    day = await days.left(connection, call)
    if not call.priced and (wallet.limit_micros < NO_LIMIT_MICROS or day.money_limited):
        return Refusal(code="price_unknown")
    if wallet.calls >= wallet.limit_calls:
        return Refusal(code="calls_exhausted")
    used = wallet.input_tokens + wallet.output_tokens + wallet.reserved_tokens
    micros = wallet.limit_micros - wallet.micros - wallet.reserved_micros
    most = {
        "tokens_exhausted": wallet.limit_tokens - used - call.input_tokens,
        "day_tokens_exhausted": day.tokens - call.input_tokens,
        "budget_exhausted": call.affordable(micros),
        "day_budget_exhausted": call.affordable(day.micros),
    }
    short = min(most, key=lambda code: most[code])  # of equals the first: the task's own
    if most[short] < 1:
        return Refusal(code=short)
    return call.capped(min(call.output_tokens, most[short]))


async def _stopped(connection: AsyncConnection, sandbox_id: str) -> Refusal | None:
    statement = (
        select(SANDBOXES.c.state, ATTEMPTS.c.cancel_at, TASKS.c.status)
        .join(ATTEMPTS, ATTEMPTS.c.id == SANDBOXES.c.attempt_id)
        .join(TASKS, TASKS.c.id == SANDBOXES.c.task_id)
        .where(SANDBOXES.c.id == sandbox_id)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is not None and (row.cancel_at is not None or row.status == TaskStatus.CANCELLED.value):
        return Refusal(code="task_cancelled")
    if row is None or row.state == SandboxState.ENDED.value or row.status in TERMINAL:
        return Refusal(code="token_revoked")
    return None


_CALLS = select(WALLETS.c.calls).where(WALLETS.c.task_id == bindparam("wanted"))
