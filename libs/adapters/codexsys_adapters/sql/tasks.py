"""Tasks as their owners see them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Float, Insert, Select, bindparam, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.deleting import delete_task
from codexsys_adapters.sql.endings import CANCELLED, end_sandboxes, end_task, ended
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.event_rows import append_event
from codexsys_adapters.sql.faults import Contended
from codexsys_adapters.sql.idempotency import made_with, note_key
from codexsys_adapters.sql.needs import note_needs
from codexsys_adapters.sql.quick import QuickRead
from codexsys_adapters.sql.quotas import in_turn, max_queued_of, may_queue
from codexsys_adapters.sql.tables import ATTEMPTS, EVENTS, LABELS, TASKS, WALLETS
from codexsys_adapters.sql.task_lists import counted, listed
from codexsys_adapters.sql.task_rows import (
    GLANCES,
    new_attempt,
    no_such_task,
    read_task,
    task_values,
    to_task,
)
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_adapters.sql.uploads import use
from codexsys_core.attempt import Attempt, Hold
from codexsys_core.errors import RateLimited
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.ready import AGING
from codexsys_core.task import Glance, Task, TaskQuery
from codexsys_core.together import Together
from codexsys_core.wallet import NO_LIMIT_MICROS

QUEUE_FULL_SECONDS = 15
# What every submit and every poll runs is built once: building costs more than running does.
_NEW_TASK = insert(TASKS).values(queue_until=after_sql(bindparam("patience", type_=Float)))
_NEW_WALLET = insert(WALLETS)
_NEW_EVENT = insert(EVENTS).values(at=now_sql())


def _new_attempt() -> Insert:
    """Insert the first attempt, unless the tenant has as many queued as it may have."""
    waits = after_sql(bindparam("aging", type_=Float)).label("turn_at")
    times = [now_sql().label("due_at"), waits, now_sql().label("created_at")]
    given = [
        bindparam(name, type_=ATTEMPTS.c[name].type).label(name)
        for name in ("id", "task_id", "tenant_id", "number", "state", "fence", "takeovers")
    ]
    wanted = select(*given, *times).where(may_queue(bindparam("tenant_id")))
    return insert(ATTEMPTS).from_select(
        [column.name for column in (*given, *times)], wanted, include_defaults=False
    )


_NEW_ATTEMPT = _new_attempt()


def _positions() -> Select[Any]:
    """Count for each task its tenant's queued attempts whose turn comes first; no row for one that waits no more."""
    queued = AttemptState.QUEUED.value
    mine, other = ATTEMPTS.alias("mine"), ATTEMPTS.alias("other")
    earlier = or_(
        other.c.turn_at < mine.c.turn_at,
        (other.c.turn_at == mine.c.turn_at) & (other.c.id < mine.c.id),
    )
    before = (other.c.tenant_id == mine.c.tenant_id) & (other.c.state == queued) & earlier
    return (
        select(mine.c.task_id, mine.c.tenant_id, func.count(other.c.id).label("place"))
        .select_from(mine.outerjoin(other, before))
        .where(mine.c.task_id.in_(bindparam("wanted_tasks", expanding=True)))
        .where(mine.c.state == queued)
        .group_by(mine.c.id, mine.c.task_id, mine.c.tenant_id)
    )


_POSITIONS = _positions()
_COUNTS = counted()


class SqlTasks:
    """`TaskStore` in a database."""

    def __init__(self, *, database: Database, max_queued: int = 0) -> None:
        self._database = database
        self._max_queued = max_queued
        self._glance_rows = QuickRead(database, GLANCES, TASKS.c.id)
        self._glanced: Together[str, tuple[str, Glance] | None] = Together(self._glances)
        self._placed: Together[str, tuple[str, int] | None] = Together(self._places)

    async def add(
        self,
        task: Task,
        attempt: Attempt,
        idempotency: Idempotency | None = None,
        *,
        upload_id: str | None = None,
    ) -> Task:
        """Insert everything that a new task consists of; a known key gives the stored task."""

        async def statements(connection: AsyncConnection) -> None:
            if idempotency is not None:
                await note_key(connection, task.tenant_id, task.id, idempotency)
            if upload_id is not None:
                await use(connection, upload_id, task)
            await _insert(connection, task, attempt, self._max_queued)

        try:
            await self._database.transact(statements)
        except IntegrityError:
            # Either the key is known, or this very task was committed before its connection broke.
            stored = await self.known(task.tenant_id, idempotency) if idempotency else None
            return stored or await self.get(task.id, tenant_id=task.tenant_id)
        return task.model_copy(update={"seq": 1})

    async def known(self, tenant_id: str, idempotency: Idempotency) -> Task | None:
        """Return the task that was made with this key in the last 24 hours."""

        async def statements(connection: AsyncConnection) -> Task | None:
            task_id = await made_with(connection, tenant_id, idempotency)
            if task_id is None:
                return None
            return await read_task(connection, task_id, tenant_id=tenant_id)

        return await self._database.look(statements)

    async def get(self, task_id: str, *, tenant_id: str) -> Task:
        """Return one task."""
        return await self._database.look(
            lambda connection: read_task(connection, task_id, tenant_id=tenant_id)
        )

    async def glance(self, task_id: str, *, tenant_id: str) -> Glance:
        """Return what is different when anything is that the owner is shown."""
        found = await self._glanced.ask(task_id)
        if found is None or found[0] != tenant_id:
            raise no_such_task()
        return found[1]

    async def _glances(self, ids: Sequence[str]) -> list[tuple[str, Glance] | None]:
        rows = await self._glance_rows.rows(ids)
        found = {
            task_id: (tenant_id, Glance(TaskStatus(status), tuple(version)))
            for task_id, tenant_id, status, *version in rows
        }
        return [found.get(each) for each in ids]

    async def find(self, query: TaskQuery) -> list[Task]:
        """Return up to `limit` tasks, newest first."""
        wanted = listed(query)

        async def statements(connection: AsyncConnection) -> list[Task]:
            return [to_task(row) for row in (await connection.execute(wanted)).mappings()]

        return await self._database.look(statements)

    async def counts(self, *, tenant_id: str, most: int) -> dict[TaskStatus, int]:
        """Return how many tasks have each status, of each up to `most`."""
        named = {"wanted_tenant": tenant_id, "most": most}

        async def statements(connection: AsyncConnection) -> dict[TaskStatus, int]:
            found = await connection.execute(_COUNTS, named)
            return {TaskStatus(row.status): int(row.tasks) for row in found}

        return await self._database.look(statements)

    async def cancel(self, task_id: str, *, tenant_id: str) -> Task:
        """End what waits, at once; ask the owner of what runs to end it."""

        async def statements(connection: AsyncConnection) -> Task:
            task = await read_task(connection, task_id, tenant_id=tenant_id)
            if task.status.terminal:
                return task
            await _cancel(connection, task_id)
            return await read_task(connection, task_id, tenant_id=tenant_id)

        return await self._database.transact(statements)

    async def delete(self, task_id: str, *, tenant_id: str) -> Task:
        """Remove what a terminal task says and holds, but for its objects."""
        return await self._database.transact(lambda c: delete_task(c, task_id, tenant_id))

    async def queue_position(self, task_id: str, *, tenant_id: str) -> int | None:
        """Return how many queued attempts of the tenant come first."""
        found = await self._placed.ask(task_id)
        return found[1] if found is not None and found[0] == tenant_id else None

    async def _places(self, ids: Sequence[str]) -> list[tuple[str, int] | None]:
        async def statements(connection: AsyncConnection) -> list[tuple[str, int] | None]:
            rows = await connection.execute(_POSITIONS, {"wanted_tasks": sorted(set(ids))})
            found = {task_id: (tenant_id, place) for task_id, tenant_id, place in rows}
            return [found.get(each) for each in ids]

        return await self._database.look(statements)


async def _insert(
    connection: AsyncConnection, task: Task, attempt: Attempt, max_queued: int
) -> None:
    patience = {"patience": float(task.spec.limits.queue_seconds)}
    await connection.execute(_NEW_TASK, task_values(task) | patience)
    told = {"aging": task.spec.priority * AGING.total_seconds(), "default_cap": max_queued}
    await in_turn(connection, task.tenant_id)
    if (await connection.execute(_NEW_ATTEMPT, new_attempt(attempt) | told)).rowcount != 1:
        most = await max_queued_of(connection, task.tenant_id, max_queued)
        raise RateLimited(
            f"You may have {most} tasks queued, and have. Wait until some have run, or cancel some.",
            code="queue_full",
            retry_after=QUEUE_FULL_SECONDS,
            policy=("queued", most, 0),
        )
    await connection.execute(_NEW_WALLET, _full_wallet(task))
    event = {
        "task_id": task.id,
        "seq": 1,
        "type": EventType.TASK_QUEUED.value,
        "attempt": attempt.number,
        "data": '{"status":"queued"}',
    }
    await connection.execute(_NEW_EVENT, event)
    await note_needs(connection, task)
    if task.spec.labels:
        labels = task.spec.labels.items()
        rows = [
            {"task_id": task.id, "tenant_id": task.tenant_id, "name": name, "value": value}
            for name, value in labels
        ]
        await connection.execute(insert(LABELS), rows)


def _full_wallet(task: Task) -> dict[str, Any]:
    limits = task.spec.limits
    spent = (
        "calls",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "micros",
        "reserved_tokens",
        "reserved_micros",
    )
    return {
        "task_id": task.id,
        "limit_calls": limits.calls,
        "limit_tokens": limits.tokens,
        "limit_micros": NO_LIMIT_MICROS
        if limits.cost_usd is None
        else round(limits.cost_usd * 1_000_000),
        **dict.fromkeys(spent, 0),
    }


async def _cancel(connection: AsyncConnection, task_id: str) -> None:
    open_attempt = (ATTEMPTS.c.task_id == task_id) & (ATTEMPTS.c.state != AttemptState.ENDED.value)
    asked = update(ATTEMPTS).where(open_attempt, ATTEMPTS.c.cancel_at.is_(None))
    first = (await connection.execute(asked.values(cancel_at=now_sql()))).rowcount == 1
    row = (await connection.execute(select(ATTEMPTS).where(open_attempt))).mappings().one_or_none()
    if row is None:
        return
    if row["cancel_at"] is None:
        # The next attempt was queued between the two statements: look again.
        raise Contended("The task moved on while it was cancelled.", code="database_unavailable")
    hold = Hold(
        attempt_id=row["id"],
        task_id=task_id,
        tenant_id=row["tenant_id"],
        number=row["number"],
        fence=row["fence"],
    )
    if row["state"] == AttemptState.RUNNING.value:
        if first:
            data = {"status": "running"}
            await append_event(
                connection, task_id, EventType.TASK_CANCELLING, data, attempt=hold.number
            )
        return
    await connection.execute(
        update(ATTEMPTS).where(ATTEMPTS.c.id == hold.attempt_id).values(**ended(CANCELLED.outcome))
    )
    await end_sandboxes(connection, hold.attempt_id, "cancelled")
    await end_task(connection, hold, CANCELLED)
