"""What reserving comes to when all of it is allowed: wallets, days and rows by one message to a MySQL server.

Each further message is a way there and back that a model call waits for.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Float,
    Insert,
    Select,
    Update,
    and_,
    bindparam,
    func,
    insert,
    select,
    text,
)
from sqlalchemy import update as updating
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickChange, change
from codexsys_adapters.sql.spending.days import Days
from codexsys_adapters.sql.spending.worst_case import Call
from codexsys_adapters.sql.tables import ATTEMPTS, RESERVATIONS, SANDBOXES, TASKS, WALLETS
from codexsys_adapters.sql.times import after_sql
from codexsys_core.moves import TaskStatus
from codexsys_core.sandbox import SandboxState
from codexsys_core.wallet import NO_LIMIT_MICROS

TERMINAL = [status.value for status in TaskStatus if status.terminal]
_NUMBERED = "SET @number = IF(ROW_COUNT() = 1, LAST_INSERT_ID(), NULL)"
_IF_TAKEN = "IF(ROW_COUNT() = 1 AND @number IS NOT NULL, :most_micros, NULL)"
_DAY = attrgetter("tenant_id", "day")
ROW = (
    "id",
    "task_id",
    "sandbox_id",
    "tenant_id",
    "day",
    "number",
    "input_tokens",
    "output_tokens",
    "micros",
    "price_input",
    "price_output",
    "price_cached",
)
"""Of a reservation's row, beside the end of its time."""


class NotAll(Exception):
    """Some of it is not allowed, so nothing was done: the transaction must not be committed."""


class Taking:
    """Takes calls out of wallets and days; on MySQL also all that there is to it in one message."""

    def __init__(self, database: Database, days: Days) -> None:
        self._days = days
        self.at_once = database.dialect == "mysql"
        self.takes = {
            priced: QuickChange(database, _taking(priced=priced, numbered=self.at_once))
            for priced in (True, False)
        }
        self._written = QuickChange(database, _written())
        self._numbered = QuickChange(database, text(_NUMBERED))
        self._last = QuickChange(database, _last())

    async def one(self, connection: AsyncConnection, call: Call) -> int:
        """Reserve a call and commit, and return its number; raises `NotAll`.

        What is not allowed ends the message before its commit: no row can be written without its money.
        """
        asked = [
            (self.takes[call.priced], wish(call)),
            (self._numbered, {}),
            self._days.asked([call]),
            (self._last, {**row(call), **wish(call)}),
        ]
        try:
            done = await change(connection, asked, last=True)
        except IntegrityError as error:
            raise NotAll from error
        return done[0].told

    async def all(self, connection: AsyncConnection, calls: Sequence[Call]) -> dict[str, int]:
        """Reserve all calls, each with its row, and return their numbers by id; raises `NotAll`."""
        in_order, days = ordered(calls)
        asked = []
        for call in in_order:
            asked += [(self.takes[call.priced], wish(call)), (self._written, row(call))]
        done = await change(connection, [*asked, *map(self._days.asked, days)])
        if not all(each.matched for each in done):
            raise NotAll
        taken = done[: len(asked) : 2]
        return {call.id: each.told for call, each in zip(in_order, taken, strict=True)}


def ordered(calls: Sequence[Call]) -> tuple[list[Call], list[list[Call]]]:
    """Return calls in the order of their locks, and by the day that they count on."""
    in_order = sorted(calls, key=attrgetter("task_id"))
    return in_order, [list(some) for _, some in groupby(sorted(in_order, key=_DAY), _DAY)]


def _taking(*, priced: bool, numbered: bool) -> Update:
    """Return the one statement that is the token check, too."""
    wallet = WALLETS.c
    tokens: BindParameter[int] = bindparam("most_tokens")
    micros: BindParameter[int] = bindparam("most_micros")
    spent = wallet.micros + wallet.reserved_micros + micros
    number = wallet.calls + 1
    return (
        updating(WALLETS)
        .where(
            wallet.task_id == _task_of(bindparam("sandbox")).scalar_subquery(),
            wallet.calls + 1 <= wallet.limit_calls,
            wallet.input_tokens + wallet.output_tokens + wallet.reserved_tokens + tokens
            <= wallet.limit_tokens,
            spent <= wallet.limit_micros if priced else wallet.limit_micros >= NO_LIMIT_MICROS,
        )
        .values(
            calls=func.last_insert_id(number) if numbered else number,
            reserved_tokens=wallet.reserved_tokens + tokens,
            reserved_micros=wallet.reserved_micros + micros,
        )
    )


def _written() -> Insert:
    """Return what adds a call's row where the statement before, in the same message, took the call."""
    number = func.last_insert_id()
    until = after_sql(bindparam("seconds", type_=Float))
    given: dict[str, Any] = {name: bindparam(name) for name in ROW}
    given |= {"number": number, "until": until}
    taken = select(*given.values()).select_from(text("DUAL")).where(text("ROW_COUNT() = 1"))
    return insert(RESERVATIONS).from_select(list(given), taken)


def _last() -> Insert:
    """Return what adds a call's row where the day before it was taken from, and its wallet before that."""
    until = after_sql(bindparam("seconds", type_=Float))
    given: dict[str, Any] = {name: bindparam(name) for name in ROW}
    checked = {"number": text("@number"), "micros": text(_IF_TAKEN), "until": until}
    return insert(RESERVATIONS).values(given | checked)


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
            and_(*(TASKS.c.status != status for status in TERMINAL)),
        )
    )


def wish(call: Call) -> dict[str, Any]:
    """Return the values with which a call is taken out of its wallet, or given back."""
    return {
        "sandbox": call.sandbox_id,
        "most_tokens": call.tokens,
        "most_micros": call.micros,
    }


def row(call: Call, number: int = 0) -> dict[str, Any]:
    """Return the values of a reservation's row."""
    return {
        "id": call.id,
        "task_id": call.task_id,
        "sandbox_id": call.sandbox_id,
        "tenant_id": call.tenant_id,
        "day": call.day,
        "number": number,
        "input_tokens": call.input_tokens,
        "output_tokens": call.output_tokens,
        "micros": call.micros,
        "price_input": call.rates.input,
        "price_output": call.rates.output,
        "price_cached": call.rates.cached,
        "seconds": call.seconds,
    }
