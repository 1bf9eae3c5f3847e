"""Events of many tasks: those that come at the same moment by one transaction."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickInsert, QuickRead, QuickUpdate
from codexsys_adapters.sql.tables import EVENTS, TASKS
from codexsys_adapters.sql.times import now_sql
from codexsys_core.errors import NotFound
from codexsys_core.together import Together

_ROW = ("task_id", "seq", "type", "attempt", "data")


class Happening(NamedTuple):
    """What has happened to a task, if it is still open."""

    task_id: str
    kind: str
    attempt: int
    data: str


class Happenings:
    """Adds events that come from nobody outside, so that none of them can have been added before."""

    def __init__(self, database: Database) -> None:
        self._database = database
        row = TASKS.c
        # By its key, so that no other task's row is locked with them.
        found = (
            select(row.id, row.seq, row.finished_at)
            .with_for_update()
            .with_hint(TASKS, "FORCE INDEX (PRIMARY)", "mysql")
        )
        self._tasks = QuickRead(database, found, row.id)
        raised = update(TASKS).values(seq=row.seq + bindparam("more"))
        self._raise = QuickUpdate(database, raised, row.id)
        self._events = QuickInsert(database, insert(EVENTS).values(at=now_sql()), _ROW)
        self._asked: Together[Happening, int] = Together(self._some)

    async def add(self, happening: Happening) -> int:
        """Return the event's number, 0 when the task is over; `NotFound` when there is none."""
        return await self._asked.ask(happening)

    async def _some(self, happenings: Sequence[Happening]) -> Sequence[int | Exception]:
        return await self._database.transact(lambda connection: self._write(connection, happenings))

    async def _write(
        self, connection: AsyncConnection, happenings: Sequence[Happening]
    ) -> Sequence[int | Exception]:
        found = await self._tasks.on(connection, (each.task_id for each in happenings))
        seqs = {task_id: seq for task_id, seq, finished_at in found if finished_at is None}
        over = {row[0] for row in found} - set(seqs)
        rows: list[dict[str, Any]] = []
        answers: list[int | Exception] = []
        for each in happenings:
            if each.task_id in seqs:
                seqs[each.task_id] += 1
                rows.append(_row(each, seqs[each.task_id]))
                answers.append(seqs[each.task_id])
            else:
                answers.append(0 if each.task_id in over else NotFound("There is no such task."))
        counted = Counter(row["task_id"] for row in rows)
        for more in sorted(set(counted.values())):
            ids = [task_id for task_id, count in counted.items() if count == more]
            await self._raise.on(connection, ids, more=more)
        await self._events.add(connection, rows)
        return answers


def _row(happening: Happening, seq: int) -> dict[str, Any]:
    return {
        "task_id": happening.task_id,
        "seq": seq,
        "type": happening.kind,
        "attempt": happening.attempt,
        "data": happening.data,
    }
