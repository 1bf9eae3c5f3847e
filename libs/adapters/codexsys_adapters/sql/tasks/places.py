"""Places in the queue: how many of its tenant's attempts come before each of some tasks."""

from collections.abc import Collection, Sequence
from datetime import datetime
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Integer, Select, bindparam, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickRead, QuickUnion, Rows
from codexsys_adapters.sql.tables import ATTEMPTS
from codexsys_core.moves import AttemptState

LONG = 1000
"""A queue is long when counting it is work: 20,000 rows take the database 4 ms."""
COUNTED_SECONDS = 1.0
"""So often a long queue is counted from its head; what is behind is counted from there, and at once."""
_MOST_TENANTS = 1000
_MOST_BEHIND = 1000
_QUEUED = AttemptState.QUEUED.value
_TURNS = select(
    ATTEMPTS.c.task_id, ATTEMPTS.c.tenant_id, ATTEMPTS.c.state, ATTEMPTS.c.turn_at, ATTEMPTS.c.id
)

Turn = tuple[datetime, str]
"""What a tenant's attempts are ordered by."""
_FIRST: Turn = (datetime(1000, 1, 1), "")  # noqa: DTZ001 - as rows hold times


class Waits(NamedTuple):
    """A task that waits, and since when in its tenant's order."""

    tenant_id: str
    turn: Turn
    task_id: str


class Mark(NamedTuple):
    """How many came before a turn, a moment ago."""

    turn: Turn
    before: int
    until: float


def _between() -> Select[Any]:
    """Count a tenant's queued attempts from one turn on, up to another and without it."""
    row = ATTEMPTS.c
    since: ColumnElement[Any] = bindparam("since", type_=row.turn_at.type)
    until: ColumnElement[Any] = bindparam("until", type_=row.turn_at.type)
    number: ColumnElement[Any] = bindparam("number", type_=Integer)
    counted: Select[Any] = select(number.label("number"), func.count().label("counted"))
    return (
        counted.select_from(ATTEMPTS)
        .where(row.state == bindparam("queued"), row.tenant_id == bindparam("tenant"))
        .where(row.turn_at >= since, or_(row.turn_at > since, row.id >= bindparam("since_id")))
        .where(row.turn_at <= until, or_(row.turn_at < until, row.id < bindparam("until_id")))
    )


def _behind() -> Select[Any]:
    """Select a tenant's queued attempts from one turn on, in order."""
    row = ATTEMPTS.c
    since: ColumnElement[Any] = bindparam("since", type_=row.turn_at.type)
    return (
        select(row.task_id, row.turn_at, row.id)
        .where(row.state == bindparam("queued"), row.tenant_id == bindparam("tenant"))
        .where(row.turn_at >= since, or_(row.turn_at > since, row.id >= bindparam("since_id")))
        .order_by(row.turn_at, row.id)
        .limit(literal_column(str(_MOST_BEHIND)))
    )


class Places:
    """Counts by one statement for all who ask at the same moment, and no row twice for one tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.turns = QuickRead(database, _TURNS, ATTEMPTS.c.task_id)
        """Reads what `seen` is given."""
        self._between = QuickUnion(database, _between())
        self.behind = QuickUnion(database, _behind())
        """Reads what `told` is given, of what `asked` says."""
        self._marks: dict[str, Mark] = {}

    async def of(self, ids: Sequence[str]) -> dict[str, tuple[str, int]]:
        """Return tenant and place of those tasks that wait."""

        async def look(connection: AsyncConnection) -> dict[str, tuple[str, int]]:
            return await self.seen(connection, await self.turns.on(connection, ids))

        return await self._database.look(look)

    async def seen(self, connection: AsyncConnection, turns: Rows) -> dict[str, tuple[str, int]]:
        """Return the same for rows of `turns`, as one connection sees it, in whatever transaction."""
        waiting = sorted(
            Waits(tenant_id, (turn_at or _FIRST[0], attempt_id), task_id)
            for task_id, tenant_id, state, turn_at, attempt_id in turns
            if state == _QUEUED
        )
        if not waiting:
            return {}
        marks: dict[str, Mark] = {}
        asked = []
        for number, each in enumerate(waiting):
            mark = marks.get(each.tenant_id) or self._mark(each)
            asked.append(_asked(number, mark.turn, each))
            marks[each.tenant_id] = mark._replace(turn=each.turn)
        rows = await self._between.on(connection, asked)
        counted = {int(number): int(count) for number, count in rows}
        found: dict[str, tuple[str, int]] = {}
        for number, each in enumerate(waiting):
            mark = marks[each.tenant_id]
            marks[each.tenant_id] = mark._replace(before=mark.before + counted[number])
            found[each.task_id] = (each.tenant_id, marks[each.tenant_id].before)
        self._keep(marks)
        return found

    def last(self, tenant_id: str) -> Mark | None:
        """Return where a long queue was counted to a moment ago."""
        mark = self._marks.get(tenant_id)
        return mark if mark is not None and monotonic() < mark.until else None

    @staticmethod
    def asked(tenant_id: str, mark: Mark) -> list[dict[str, Any]]:
        """Return what to give to `behind`."""
        since, since_id = mark.turn
        return [{"queued": _QUEUED, "tenant": tenant_id, "since": since, "since_id": since_id}]

    def told(self, tenant_id: str, mark: Mark, ids: Collection[str], rows: Rows) -> dict[str, int]:
        """Return the places of those tasks that are among the rows of `behind`."""
        found: dict[str, int] = {}
        last = mark
        for before, (task_id, turn_at, attempt_id) in enumerate(rows, mark.before):
            if task_id in ids:
                found[task_id] = before
                last = Mark((turn_at, attempt_id), before, mark.until)
        self._keep({tenant_id: last})
        return found

    def _mark(self, first: Waits) -> Mark:
        """Return from where to count a tenant's queue."""
        now = monotonic()
        known = self._marks.get(first.tenant_id)
        if known is not None and now < known.until and known.turn <= first.turn:
            return known
        return Mark(_FIRST, 0, now + COUNTED_SECONDS)

    def _keep(self, marks: dict[str, Mark]) -> None:
        if len(self._marks) > _MOST_TENANTS:
            now = monotonic()
            self._marks = {each: mark for each, mark in self._marks.items() if now < mark.until}
        self._marks |= {each: mark for each, mark in marks.items() if mark.before >= LONG}


def _asked(number: int, since: Turn, each: Waits) -> dict[str, Any]:
    return {
        "number": number,
        "queued": _QUEUED,
        "tenant": each.tenant_id,
        "since": since[0],
        "since_id": since[1],
        "until": each.turn[0],
        "until_id": each.turn[1],
    }
