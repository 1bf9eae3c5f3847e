"""Counts of rows, and rows that have not moved for too long."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import ATTEMPTS, QUESTIONS, SANDBOXES, TASKS
from codexsys_adapters.sql.times import after_sql, aware, now_sql
from codexsys_core.census import Census, Stuck, StuckKind
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.sandbox import SandboxRole, SandboxState

_OPEN = [status.value for status in TaskStatus if not status.terminal]
_QUEUED = ATTEMPTS.c.state == AttemptState.QUEUED.value
_RUNNING = ATTEMPTS.c.state == AttemptState.RUNNING.value


class SqlCensus:
    """A `CensusStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def census(self, *, unpublished_seconds: float) -> Census:
        """Count, one statement each."""
        before = after_sql(-unpublished_seconds)

        async def statements(connection: AsyncConnection) -> Census:
            by_status = select(TASKS.c.status, func.count()).where(TASKS.c.status.in_(_OPEN))
            rows = await connection.execute(by_status.group_by(TASKS.c.status))
            counts = {row[0]: int(row[1]) for row in rows}
            oldest = select(func.min(ATTEMPTS.c.due_at), now_sql()).where(_QUEUED)
            first, now = (await connection.execute(oldest)).one()
            return Census(
                tasks={status: counts.get(status, 0) for status in _OPEN},
                queue_age_seconds=_age(first, now),
                expired_leases=await _count(
                    connection, _RUNNING, ATTEMPTS.c.lease_until < now_sql()
                ),
                unpublished_records=await _count(connection, *_unannounced(before)),
                unpublished_results=await _count(connection, TASKS.c.result_due_at < before),
            )

        return await self._database.look(statements)

    async def stuck(
        self, *, queued_seconds: float, other_seconds: float, limit: int
    ) -> list[Stuck]:
        """Return what is stuck, the oldest of each kind first."""
        wanted = _stuck(after_sql(-queued_seconds), after_sql(-other_seconds))

        async def statements(connection: AsyncConnection) -> list[Stuck]:
            found = []
            for kind, statement in wanted.items():
                rows = await connection.execute(statement.order_by("since").limit(limit))
                found += [
                    Stuck(kind=kind, **{**row, "since": aware(row["since"])})
                    for row in rows.mappings()
                ]
            return found

        return await self._database.look(statements)


def _stuck(queued: Any, other: Any) -> dict[StuckKind, Select[Any]]:
    attempts, sandboxes = ATTEMPTS.c, SANDBOXES.c
    its_own = ATTEMPTS.c.id == SANDBOXES.c.attempt_id
    place = sandboxes.id + literal(" at ") + sandboxes.place
    live = sandboxes.state != SandboxState.ENDED.value
    # An agent's sandbox may have been adopted: then it goes on under a higher fence than its own.
    another = and_(attempts.fence != sandboxes.fence, sandboxes.role != SandboxRole.AGENT.value)
    astray = or_(~_RUNNING, another)
    due = TASKS.c.result_due_at
    return {
        StuckKind.QUEUED: _attempt(attempts.due_at, literal("")).where(
            _QUEUED, attempts.due_at < queued
        ),
        StuckKind.LEASE_EXPIRED: _attempt(
            attempts.lease_until, func.coalesce(attempts.owner, literal("released"))
        ).where(_RUNNING, attempts.lease_until < other),
        StuckKind.UNANSWERED: _attempt(QUESTIONS.c.deadline, QUESTIONS.c.id)
        .join(QUESTIONS, QUESTIONS.c.attempt_id == attempts.id)
        .where(
            QUESTIONS.c.answered_at.is_(None),
            QUESTIONS.c.deadline < other,
            attempts.state == AttemptState.SUSPENDED.value,
        ),
        StuckKind.RECORD_UNPUBLISHED: _attempt(attempts.due_at, literal("")).where(
            *_unannounced(other)
        ),
        StuckKind.RESULT_UNPUBLISHED: select(
            TASKS.c.id.label("task_id"),
            TASKS.c.tenant_id,
            TASKS.c.attempt,
            due.label("since"),
            TASKS.c.status.label("what"),
        ).where(due < other),
        StuckKind.SANDBOX_WITHOUT_ATTEMPT: _sandbox(sandboxes.created_at, place)
        .join(ATTEMPTS, its_own)
        .where(live, astray, sandboxes.created_at < other),
        StuckKind.SANDBOX_LEFT: _sandbox(sandboxes.ended_at, place).where(
            ~live, sandboxes.destroyed_at.is_(None), sandboxes.ended_at < other
        ),
    }


def _attempt(since: ColumnElement[Any], what: ColumnElement[Any]) -> Select[Any]:
    row = ATTEMPTS.c
    named = (since.label("since"), what.label("what"))
    wanted = select(row.task_id, row.tenant_id, row.number.label("attempt"), *named)
    return wanted.select_from(ATTEMPTS)


def _sandbox(since: ColumnElement[Any], what: ColumnElement[Any]) -> Select[Any]:
    row = SANDBOXES.c
    named = (since.label("since"), what.label("what"))
    return select(row.task_id, row.tenant_id, row.attempt, *named).select_from(SANDBOXES)


def _unannounced(before: Any) -> tuple[ColumnElement[bool], ...]:
    return (_QUEUED, ATTEMPTS.c.published_at.is_(None), ATTEMPTS.c.due_at < before)


async def _count(connection: AsyncConnection, *conditions: ColumnElement[bool]) -> int:
    return int(await connection.scalar(select(func.count()).where(*conditions)) or 0)


def _age(first: datetime | None, now: datetime) -> float:
    return max(timedelta(), now - first).total_seconds() if first else 0.0
