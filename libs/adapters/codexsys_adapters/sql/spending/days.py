"""What tenants spend in a day, and how much that may be."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from sqlalchemy import BindParameter, Float, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import Change, QuickChange, change
from codexsys_adapters.sql.spending.worst_case import MILLION, Call
from codexsys_adapters.sql.tables import TENANT_DAYS, TENANTS
from codexsys_core.wallet import NO_LIMIT_MICROS, DayLimits, TenantDay

CHANGED = ("calls", "tokens", "micros", "reserved_tokens", "reserved_micros")
_NO_LIMIT_TOKENS = 2**62


class Left(NamedTuple):
    """What a tenant may still reserve today."""

    tokens: int
    micros: int
    money_limited: bool


class Days:
    """One row for each tenant and day. Whoever changes it holds it, so it comes last in a transaction."""

    def __init__(self, database: Database, limits: DayLimits) -> None:
        self._defaults = {
            "default_usd": limits.max_usd_per_day,
            "default_tokens": limits.max_tokens_per_day,
        }
        self._take = QuickChange(database, _taking())
        row = TENANT_DAYS.c
        more = {name: row[name] + bindparam(f"more_{name}") for name in CHANGED}
        here = (row.tenant_id == bindparam("tenant"), row.day == bindparam("today"))
        self._pay = QuickChange(database, update(TENANT_DAYS).where(*here).values(more))

    def asked(self, calls: Sequence[Call]) -> Change:
        """Return what reserves calls of one tenant and day, and matches no row when that is too much."""
        return self._take, {
            **_here(calls),
            **self._defaults,
            "more_calls": len(calls),
            "more_tokens": sum(call.tokens for call in calls),
            "more_micros": sum(call.micros for call in calls),
            "unpriced": sum(not call.priced for call in calls),
        }

    async def reserve(self, connection: AsyncConnection, calls: Sequence[Call]) -> bool:
        """Reserve calls of one tenant and day; False, and nothing is, when they are too much for it."""
        asked = [self.asked(calls)]
        if (await change(connection, asked))[0].matched:
            return True
        if (await connection.execute(_THERE, _here(calls))).one_or_none():
            return False
        await connection.execute(_NEW, _empty(calls[0].tenant_id, calls[0].day))
        return bool((await change(connection, asked))[0].matched)

    async def give_back(self, connection: AsyncConnection, calls: Sequence[Call]) -> None:
        """Undo what was reserved for calls of one tenant and day that are not made."""
        less = {
            "calls": -len(calls),
            "reserved_tokens": -sum(call.tokens for call in calls),
            "reserved_micros": -sum(call.micros for call in calls),
        }
        await change(connection, [self.paid(calls[0].tenant_id, calls[0].day, less)])

    async def left(self, connection: AsyncConnection, call: Call) -> Left:
        """Say what is left of a call's day; it stays so until the transaction ends."""
        tenant = _here([call])
        held = _THERE.with_for_update()
        day: Any = (await connection.execute(held, tenant)).one_or_none()
        if day is None:  # what is not there cannot be held
            await connection.execute(_NEW, _empty(call.tenant_id, call.day))
            day = (await connection.execute(held, tenant)).one()
        limits = (await connection.execute(_LIMITS, tenant | self._defaults)).one()
        return Left(
            tokens=int(limits.tokens) - day.tokens - day.reserved_tokens,
            micros=int(limits.micros) - day.micros - day.reserved_micros,
            money_limited=limits.micros < NO_LIMIT_MICROS,
        )

    def paid(self, tenant_id: str, day: date, more: Mapping[str, int]) -> Change:
        """Return what adds to what was used, and to what is reserved."""
        added = {f"more_{name}": more.get(name, 0) for name in CHANGED}
        return self._pay, {"tenant": tenant_id, "today": day, **added}

    async def of(self, connection: AsyncConnection, tenant_id: str, day: date) -> TenantDay:
        """Return a day, with what is reserved as if it were used."""
        tenant = {"tenant": tenant_id, "today": day}
        found = (await connection.execute(_THERE, tenant)).mappings().one_or_none()
        used: Mapping[str, Any] = {} if found is None else dict(found)
        limits = (await connection.execute(_LIMITS, tenant | self._defaults)).one()
        return TenantDay(
            day=day,
            calls=used.get("calls", 0),
            tokens=used.get("tokens", 0) + used.get("reserved_tokens", 0),
            cost_usd=(used.get("micros", 0) + used.get("reserved_micros", 0)) / MILLION,
            limit_tokens=None if limits.tokens >= _NO_LIMIT_TOKENS else int(limits.tokens),
            limit_usd=None if limits.micros >= NO_LIMIT_MICROS else limits.micros / MILLION,
        )


def _limit(column: Any, name: str, factor: int, none: int) -> Any:
    """Return a tenant's own limit, or the default; a very large number where there is none."""
    own = select(column).where(TENANTS.c.id == bindparam("tenant")).scalar_subquery()
    default: BindParameter[float] = bindparam(name, type_=Float)
    return func.coalesce(func.nullif(func.coalesce(own, default), 0) * factor, none)


def _taking() -> Any:
    row = TENANT_DAYS.c
    tokens: BindParameter[int] = bindparam("more_tokens")
    micros: BindParameter[int] = bindparam("more_micros")
    unpriced: BindParameter[int] = bindparam("unpriced")
    return (
        update(TENANT_DAYS)
        .where(
            row.tenant_id == bindparam("tenant"),
            row.day == bindparam("today"),
            row.tokens + row.reserved_tokens + tokens <= _TOKENS,
            row.micros + row.reserved_micros + micros <= _MICROS,
            (unpriced == 0) | (_MICROS >= NO_LIMIT_MICROS),
        )
        .values(
            calls=row.calls + bindparam("more_calls"),
            reserved_tokens=row.reserved_tokens + tokens,
            reserved_micros=row.reserved_micros + micros,
        )
    )


def _here(calls: Sequence[Call]) -> dict[str, Any]:
    return {"tenant": calls[0].tenant_id, "today": calls[0].day}


def _empty(tenant_id: str, day: date) -> dict[str, Any]:
    return {"tenant_id": tenant_id, "day": day, **dict.fromkeys(CHANGED, 0)}


_TOKENS = _limit(TENANTS.c.max_tokens_per_day, "default_tokens", 1, _NO_LIMIT_TOKENS)
_MICROS = _limit(TENANTS.c.max_usd_per_day, "default_usd", MILLION, NO_LIMIT_MICROS)
_LIMITS = select(_TOKENS.label("tokens"), _MICROS.label("micros"))
_THERE = select(TENANT_DAYS).where(
    TENANT_DAYS.c.tenant_id == bindparam("tenant"), TENANT_DAYS.c.day == bindparam("today")
)
_NEW = (
    insert(TENANT_DAYS)
    .prefix_with("IGNORE", dialect="mysql")
    .prefix_with("OR IGNORE", dialect="sqlite")
)
