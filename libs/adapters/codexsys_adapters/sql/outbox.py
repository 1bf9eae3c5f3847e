"""Rows that must still be announced, and queued tasks whose time is up."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Integer, RowMapping, Select, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.endings import QUEUE_TIMEOUT, end_sandboxes, end_task, ended
from codexsys_adapters.sql.attempts.fenced import hold_of
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickUpdate
from codexsys_adapters.sql.tables import ARTIFACTS, ATTEMPTS, TASKS
from codexsys_adapters.sql.tasks.rows import announced_source
from codexsys_adapters.sql.times import after_sql, aware, now_sql
from codexsys_core.announcement import ResultRecord, TaskRecord
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.ready import Waiting
from codexsys_core.task import TaskSpec

_WAITING = (ATTEMPTS.c.state == AttemptState.QUEUED.value) & ATTEMPTS.c.cancel_at.is_(None)


_PUBLISHED = (
    update(ATTEMPTS)
    .where(ATTEMPTS.c.number == bindparam("attempt", type_=Integer))
    .values(published_at=now_sql())
)
_LEAST = 20
"""Of each tenant at least so many are ready, however many tenants there are."""


class SqlOutbox:
    """`Outbox` in a database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._published = QuickUpdate(database, _PUBLISHED, ATTEMPTS.c.task_id)

    async def unpublished_tasks(self, *, older_than_seconds: float, limit: int) -> list[TaskRecord]:
        """Return queued, due attempts whose record never went out."""
        missing = (
            _WAITING,
            ATTEMPTS.c.published_at.is_(None),
            ATTEMPTS.c.due_at <= after_sql(-older_than_seconds),
        )
        return await self._records(
            _announced().where(*missing).order_by(ATTEMPTS.c.due_at).limit(limit)
        )

    async def tasks_published(self, records: Sequence[TaskRecord]) -> None:
        """Note that the records went out."""
        numbers: dict[int, list[str]] = {}
        for record in records:
            numbers.setdefault(record.attempt, []).append(record.task_id)

        async def statements(connection: AsyncConnection) -> None:
            for number, ids in numbers.items():
                await self._published.on(connection, ids, attempt=number)

        if numbers:
            await self._database.transact(statements)

    async def unpublished_results(
        self, *, older_than_seconds: float, limit: int
    ) -> list[ResultRecord]:
        """Return results that are due, oldest first."""
        due = TASKS.c.result_due_at <= after_sql(-older_than_seconds)
        return await self._results(
            select(TASKS).where(due).order_by(TASKS.c.result_due_at).limit(limit)
        )

    async def result(self, task_id: str) -> ResultRecord | None:
        """Return the record of a terminal task."""
        found = await self._results(
            select(TASKS).where(TASKS.c.id == task_id, TASKS.c.end_seq.is_not(None))
        )
        return found[0] if found else None

    async def result_published(self, task_id: str, seq: int) -> None:
        """Note that the result went out."""
        row = update(TASKS).where(TASKS.c.id == task_id, TASKS.c.end_seq == seq)
        await self._database.transact(lambda c: c.execute(row.values(result_due_at=None)))

    async def waiting(self, *, limit: int) -> list[Waiting]:
        """Return what the ready set should hold: the first of each tenant with something queued."""

        async def statements(connection: AsyncConnection) -> list[Waiting]:
            tenants = list((await connection.execute(_TENANTS)).scalars())
            share = max(_LEAST, limit // max(1, len(tenants)))
            found: list[Waiting] = []
            for tenant in tenants:
                rows = await connection.execute(_FIRST, {"of_tenant": tenant, "most": share})
                found += [
                    Waiting(tenant, row.task_id, aware(row.turn_at or row.due_at)) for row in rows
                ]
            return found

        return await self._database.look(statements)

    async def expire_queued(self, *, limit: int) -> int:
        """End queued tasks that waited too long, one transaction each."""
        late = select(TASKS.c.id).where(*_late()).order_by(TASKS.c.queue_until).limit(limit)
        ids = await self._database.look(partial(_scalars, statement=late))
        return sum(
            [await self._database.transact(partial(_expire, task_id=task_id)) for task_id in ids]
        )

    async def _records(self, wanted: Select[Any]) -> list[TaskRecord]:
        async def statements(connection: AsyncConnection) -> list[TaskRecord]:
            return [_record(row) for row in (await connection.execute(wanted)).mappings()]

        return await self._database.look(statements)

    async def _results(self, wanted: Select[Any]) -> list[ResultRecord]:
        async def statements(connection: AsyncConnection) -> list[ResultRecord]:
            tasks = (await connection.execute(wanted)).mappings().all()
            ids = [row["id"] for row in tasks]
            files = select(ARTIFACTS).where(ARTIFACTS.c.task_id.in_(ids)).order_by(ARTIFACTS.c.name)
            rows = (await connection.execute(files)).mappings().all() if ids else []
            return [
                _result(task, [row for row in rows if row["task_id"] == task["id"]])
                for task in tasks
            ]

        return await self._database.look(statements)


def _announced() -> Select[Any]:
    columns = (
        ATTEMPTS.c.task_id,
        ATTEMPTS.c.number,
        ATTEMPTS.c.tenant_id,
        ATTEMPTS.c.due_at,
        ATTEMPTS.c.turn_at,
        TASKS.c.spec,
    )
    return select(*columns).join(TASKS, TASKS.c.id == ATTEMPTS.c.task_id)


_TENANTS = select(ATTEMPTS.c.tenant_id).where(ATTEMPTS.c.state == AttemptState.QUEUED.value)
_TENANTS = _TENANTS.distinct().order_by(ATTEMPTS.c.tenant_id)
_FIRST = (
    select(ATTEMPTS.c.task_id, ATTEMPTS.c.turn_at, ATTEMPTS.c.due_at)
    .where(ATTEMPTS.c.tenant_id == bindparam("of_tenant"), _WAITING)
    .where(ATTEMPTS.c.due_at <= now_sql())
    .order_by(ATTEMPTS.c.turn_at, ATTEMPTS.c.id)
    .limit(bindparam("most"))
)


def _record(row: RowMapping) -> TaskRecord:
    spec = TaskSpec.model_validate_json(row["spec"])
    return TaskRecord(
        task_id=row["task_id"],
        attempt=row["number"],
        tenant_id=row["tenant_id"],
        mode=spec.mode,
        source=announced_source(spec.source),
        enqueued_at=aware(row["due_at"]),
        turn_at=aware(row["turn_at"]),
    )


def _result(task: RowMapping, artifacts: Sequence[RowMapping]) -> ResultRecord:
    return ResultRecord(
        task_id=task["id"],
        tenant_id=task["tenant_id"],
        attempt=task["attempt"],
        fence=task["end_fence"],
        seq=task["end_seq"],
        status=task["status"],
        verdict=task["verdict"],
        end_reason=task["end_reason"],
        finished_at=aware(task["finished_at"]),
        artifacts=[{name: row[name] for name in ("name", "size", "sha256")} for row in artifacts],
    )


def _late() -> tuple[Any, ...]:
    return (TASKS.c.status == TaskStatus.QUEUED.value, TASKS.c.queue_until < now_sql())


async def _scalars(connection: AsyncConnection, *, statement: Select[Any]) -> Sequence[Any]:
    return list((await connection.execute(statement)).scalars())


async def _expire(connection: AsyncConnection, *, task_id: str) -> bool:
    queued = (ATTEMPTS.c.task_id == task_id, ATTEMPTS.c.state == AttemptState.QUEUED.value)
    row = update(ATTEMPTS).where(*queued).values(fence=ATTEMPTS.c.fence)
    if (await connection.execute(row)).rowcount != 1:
        return False
    # The attempt's row is locked from here on: what the task's row says of its wait stands.
    still_late = select(TASKS.c.id).where(TASKS.c.id == task_id, *_late())
    if (await connection.execute(still_late)).one_or_none() is None:
        return False
    attempt = (await connection.execute(select(ATTEMPTS).where(*queued))).mappings().one()
    await connection.execute(update(ATTEMPTS).where(*queued).values(**ended(QUEUE_TIMEOUT.outcome)))
    await end_sandboxes(connection, attempt["id"], "queue_timeout")
    await end_task(connection, hold_of(attempt), QUEUE_TIMEOUT)
    return True
