"""What tasks may spend: reserved in one conditional update, settled once."""

from typing import Any

from sqlalchemy import (
    BindParameter,
    Float,
    Insert,
    Select,
    Update,
    bindparam,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import ATTEMPTS, RESERVATIONS, SANDBOXES, TASKS, WALLETS
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_adapters.sql.worst_case import MILLION, Call, Rates, rates_of
from codexsys_core.errors import NotFound
from codexsys_core.ids import Ids
from codexsys_core.moves import TaskStatus
from codexsys_core.sandbox import SandboxState
from codexsys_core.task import Usage
from codexsys_core.wallet import NO_LIMIT_MICROS, Grant, Prices, Refusal

_TERMINAL = [status.value for status in TaskStatus if status.terminal]


class SqlWallet:
    """A `Wallet` on SQL."""

    def __init__(self, *, database: Database, ids: Ids) -> None:
        self._database = database
        self._ids = ids

    async def reserve(
        self,
        sandbox_id: str,
        *,
        input_tokens: int,
        output_tokens: int,
        prices: Prices | None,
        seconds: float,
    ) -> Grant | Refusal:
        """Reserve the worst case."""
        call = Call(
            self._ids.new("res"), sandbox_id, input_tokens, output_tokens, rates_of(prices), seconds
        )

        again = False

        async def statements(connection: AsyncConnection) -> Grant | Refusal:
            nonlocal again
            if again and (granted := await _granted(connection, call.id)):
                return granted
            again = True
            if await _take(connection, call, unpriced=prices is None):
                return await _reserved(connection, call)
            # The wallet's row is locked from here on, so what is left stays left for the second try.
            answer = await _what_is_left(connection, call, unpriced=prices is None)
            if isinstance(answer, Refusal):
                return answer
            if await _take(connection, answer, unpriced=prices is None):
                return await _reserved(connection, answer)
            return Refusal(code="token_revoked")

        return await self._database.transact(statements)

    async def settle(
        self, grant: Grant, usage: Usage | None, *, prices: Prices | None = None
    ) -> None:
        """Replace the reservation by what was used."""
        await self._settle(grant.id, usage, rates_of(prices) if prices else None)

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

        return sum(
            [await self._settle(found, None) for found in await self._database.look(statements)]
        )

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

    async def _settle(
        self, reservation_id: str, usage: Usage | None, rates: Rates | None = None
    ) -> bool:
        async def statements(connection: AsyncConnection) -> bool:
            wanted = {"wanted": reservation_id}
            if not (await connection.execute(_CLOSE, wanted)).rowcount:
                return False
            found = (await connection.execute(_OF_RESERVATION, wanted)).one()
            more = {f"more_{name}": value for name, value in _used(found, usage, rates).items()}
            await connection.execute(_PAY, {"wanted": found.task_id, **more})
            return True

        return await self._database.transact(statements)


def _task_of(sandbox_id: Any) -> Select[tuple[str]]:
    """Select the task of a sandbox that may still make calls."""
    return (
        select(SANDBOXES.c.task_id)
        .join(ATTEMPTS, ATTEMPTS.c.id == SANDBOXES.c.attempt_id)
        .join(TASKS, TASKS.c.id == SANDBOXES.c.task_id)
        .where(
            SANDBOXES.c.id == sandbox_id,
            SANDBOXES.c.state != SandboxState.ENDED.value,
            ATTEMPTS.c.cancel_at.is_(None),
            TASKS.c.status.not_in(_TERMINAL),
        )
    )


async def _take(connection: AsyncConnection, call: Call, *, unpriced: bool) -> bool:
    asked = {"sandbox": call.sandbox_id, "most_tokens": call.tokens, "most_micros": call.micros}
    statement = _TAKE_UNPRICED if unpriced else _TAKE
    return (await connection.execute(statement, asked)).rowcount == 1


async def _reserved(connection: AsyncConnection, call: Call) -> Grant:
    values = {
        "res_id": call.id,
        "sandbox": call.sandbox_id,
        "res_input": call.input_tokens,
        "res_output": call.output_tokens,
        "res_micros": call.micros,
        "res_price_input": call.rates.input,
        "res_price_output": call.rates.output,
        "res_price_cached": call.rates.cached,
        "res_seconds": call.seconds,
    }
    await connection.execute(_RESERVE, values)
    granted = await _granted(connection, call.id)
    if granted is None:
        raise AssertionError("the reservation was inserted just now")
    return granted


def _taking(*, unpriced: bool) -> Update:
    """Return the one statement that is the token check, too; built once, for every call runs it."""
    wallet = WALLETS.c
    tokens: BindParameter[int] = bindparam("most_tokens")
    micros: BindParameter[int] = bindparam("most_micros")
    spent = wallet.micros + wallet.reserved_micros + micros
    return (
        update(WALLETS)
        .where(
            wallet.task_id == _task_of(bindparam("sandbox")).scalar_subquery(),
            wallet.calls + 1 <= wallet.limit_calls,
            wallet.input_tokens + wallet.output_tokens + wallet.reserved_tokens + tokens
            <= wallet.limit_tokens,
            wallet.limit_micros >= NO_LIMIT_MICROS if unpriced else spent <= wallet.limit_micros,
        )
        .values(
            calls=wallet.calls + 1,
            reserved_tokens=wallet.reserved_tokens + tokens,
            reserved_micros=wallet.reserved_micros + micros,
        )
    )


def _reserving() -> Insert:
    task_id = select(SANDBOXES.c.task_id).where(SANDBOXES.c.id == bindparam("sandbox"))
    columns = {
        "id": bindparam("res_id"),
        "task_id": task_id.scalar_subquery(),
        "sandbox_id": bindparam("sandbox"),
        "input_tokens": bindparam("res_input"),
        "output_tokens": bindparam("res_output"),
        "micros": bindparam("res_micros"),
        "price_input": bindparam("res_price_input"),
        "price_output": bindparam("res_price_output"),
        "price_cached": bindparam("res_price_cached"),
        "until": after_sql(bindparam("res_seconds", type_=Float)),
    }
    return insert(RESERVATIONS).values(columns)


async def _granted(connection: AsyncConnection, reservation_id: str) -> Grant | None:
    """Return the grant of a reservation that is there, also one whose commit went unanswered."""
    found = (await connection.execute(_GRANTED, {"wanted": reservation_id})).mappings()
    row = found.one_or_none()
    return None if row is None else Grant.model_validate(dict(row))


async def _what_is_left(
    connection: AsyncConnection, call: Call, *, unpriced: bool
) -> Call | Refusal:
    """Find out why nothing was reserved: return what would be allowed, or the refusal."""
    if refusal := await _stopped(connection, call.sandbox_id):
        return refusal
    task_id = select(SANDBOXES.c.task_id).where(SANDBOXES.c.id == call.sandbox_id).scalar_subquery()
    statement = select(WALLETS).where(WALLETS.c.task_id == task_id).with_for_update()
    wallet: Any = (await connection.execute(statement)).one_or_none()
    if wallet is None:
        return Refusal(code="token_revoked")
    if unpriced and wallet.limit_micros < NO_LIMIT_MICROS:
        return Refusal(code="price_unknown")
    if wallet.calls >= wallet.limit_calls:
        return Refusal(code="calls_exhausted")
    tokens = (
        wallet.limit_tokens
        - wallet.input_tokens
        - wallet.output_tokens
        - wallet.reserved_tokens
        - call.input_tokens
    )
    if tokens < 1:
        return Refusal(code="tokens_exhausted")
    micros = wallet.limit_micros - wallet.micros - wallet.reserved_micros
    output = min(tokens, call.output_tokens, call.affordable(micros))
    return call.capped(output) if output >= 1 else Refusal(code="budget_exhausted")


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
    if row is None or row.state == SandboxState.ENDED.value or row.status in _TERMINAL:
        return Refusal(code="token_revoked")
    return None


def _used(reservation: Any, usage: Usage | None, rates: Rates | None) -> dict[str, int]:
    """Return what is added to the wallet once a reservation is settled."""
    reserved = Rates(reservation.price_input, reservation.price_output, reservation.price_cached)
    rates = rates if rates and usage else reserved
    if usage is None:
        usage = Usage(
            input_tokens=reservation.input_tokens, output_tokens=reservation.output_tokens
        )
    cost = rates.micros(usage.input_tokens, usage.output_tokens, usage.cached_tokens)
    return {
        "reserved_tokens": -reservation.input_tokens - reservation.output_tokens,
        "reserved_micros": -reservation.micros,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
        "micros": cost,
    }


_TAKE, _TAKE_UNPRICED = _taking(unpriced=False), _taking(unpriced=True)
_RESERVE = _reserving()
_GRANTED = (
    select(
        RESERVATIONS.c.id,
        RESERVATIONS.c.task_id,
        RESERVATIONS.c.sandbox_id,
        RESERVATIONS.c.input_tokens,
        RESERVATIONS.c.output_tokens,
        WALLETS.c.calls.label("number"),
    )
    .join(WALLETS, WALLETS.c.task_id == RESERVATIONS.c.task_id)
    .where(RESERVATIONS.c.id == bindparam("wanted"))
)
_CLOSE = (
    update(RESERVATIONS)
    .where(RESERVATIONS.c.id == bindparam("wanted"), RESERVATIONS.c.settled_at.is_(None))
    .values(settled_at=now_sql())
)
_OF_RESERVATION = select(RESERVATIONS).where(RESERVATIONS.c.id == bindparam("wanted"))
_CHANGED = (
    "reserved_tokens",
    "reserved_micros",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "micros",
)
_PAY = (
    update(WALLETS)
    .where(WALLETS.c.task_id == bindparam("wanted"))
    .values({name: WALLETS.c[name] + bindparam(f"more_{name}") for name in _CHANGED})
)
"""Statements of every call, built once: SQLAlchemy takes longer to build one than to run it."""
