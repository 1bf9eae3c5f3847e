"""What a tenant's tasks came to, summed over their rows and wallets."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.spending.worst_case import MILLION
from codexsys_adapters.sql.tables import LABELS, TASKS, WALLETS
from codexsys_adapters.sql.times import naive
from codexsys_core.ids import first_at
from codexsys_core.usage import MOST_VALUES, DayUsage, UsageQuery, UsageReport, ValueUsage
from codexsys_core.verdict import Verdict

_SUMS = ("calls", "input_tokens", "output_tokens", "cached_tokens", "micros")
_SLACK = timedelta(hours=1)
"""How far apart the clocks of a task's id and of its row may be."""


class SqlUsage:
    """A `UsageStore` on SQL.

    The range is read from `ix_tasks_of_tenant` alone: ids grow with time, so the tasks of some days lie
    side by side in it, and so do their wallets, whose key is the task's. Rows of tasks, which are
    large, are not read.
    """

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def report(self, query: UsageQuery) -> UsageReport:
        """Sum up by day, and by value where a label is named."""
        by_value = query.label is not None and query.label[1] is None

        async def statements(connection: AsyncConnection) -> UsageReport:
            days = [*(await connection.execute(_by_day(query))).mappings()]
            values = []
            if by_value:
                values = [*(await connection.execute(_by_value(query))).mappings()]
            found = {str(row["day"]): _sums(row) for row in days}
            return UsageReport(
                days=[DayUsage(day=day, **found.get(str(day), {})) for day in _days(query)],
                values=[
                    ValueUsage(value=row["value"], **_sums(row)) for row in values[:MOST_VALUES]
                ],
                more=len(values) > MOST_VALUES,
            )

        return await self._database.look(statements)


def _by_day(query: UsageQuery) -> Select[Any]:
    day = func.date(TASKS.c.created_at).label("day")
    statement = select(day, *_columns()).outerjoin(WALLETS, WALLETS.c.task_id == TASKS.c.id)
    if query.label is not None and query.label[1] is not None:
        name, value = query.label
        statement = statement.join(LABELS, _labelled(name) & (LABELS.c.value == value))
    return statement.where(*_of(query)).group_by(day)


def _by_value(query: UsageQuery) -> Select[Any]:
    name = query.label[0] if query.label else ""
    value, spent = LABELS.c.value.label("value"), func.sum(WALLETS.c.micros)
    return (
        select(value, *_columns())
        .outerjoin(WALLETS, WALLETS.c.task_id == TASKS.c.id)
        .outerjoin(LABELS, _labelled(name))
        .where(*_of(query))
        .group_by(value)
        .order_by(spent.desc(), func.count().desc(), value)
        .limit(MOST_VALUES + 1)
    )


def _columns() -> list[ColumnElement[Any]]:
    verified = case((TASKS.c.verdict == Verdict.VERIFIED.value, 1), else_=0)
    return [
        func.count().label("tasks"),
        func.sum(verified).label("verified"),
        *(func.sum(WALLETS.c[name]).label(name) for name in _SUMS),
    ]


def _labelled(name: str) -> ColumnElement[bool]:
    return (LABELS.c.task_id == TASKS.c.id) & (LABELS.c.name == name)


def _of(query: UsageQuery) -> list[ColumnElement[bool]]:
    start, end = _midnight(query.first), _midnight(query.last + timedelta(days=1))
    row = TASKS.c
    return [
        row.tenant_id == query.tenant_id,
        row.id >= first_at("task", start - _SLACK),
        row.id < first_at("task", end + _SLACK),
        row.created_at >= naive(start),
        row.created_at < naive(end),
    ]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def _days(query: UsageQuery) -> list[date]:
    count = (query.last - query.first).days + 1
    return [query.first + timedelta(days=number) for number in range(count)]


def _sums(row: Any) -> dict[str, Any]:
    counted = {name: int(row[name] or 0) for name in ("tasks", "verified", *_SUMS)}
    return {**counted, "cost_usd": counted.pop("micros") / MILLION}
