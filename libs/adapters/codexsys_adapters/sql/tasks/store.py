"""Tasks as their owners see them."""

from collections.abc import Sequence
from weakref import WeakValueDictionary

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.endings import CANCELLED, end_sandboxes, end_task, ended
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.faults import Contended
from codexsys_adapters.sql.quick import QuickRead, Reads
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.tables import ATTEMPTS, TASKS
from codexsys_adapters.sql.tasks.deleting import delete_task
from codexsys_adapters.sql.tasks.desk import Desk
from codexsys_adapters.sql.tasks.inserts import Inserts, NewTask
from codexsys_adapters.sql.tasks.lists import counted, listed
from codexsys_adapters.sql.tasks.places import Places
from codexsys_adapters.sql.tasks.rows import GLANCES, no_such_task, read_task, to_task
from codexsys_adapters.sql.tenants.idempotency import made_with
from codexsys_adapters.sql.times import now_sql
from codexsys_core.attempt import Attempt, Hold
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.task import Glance, Task, TaskQuery
from codexsys_core.together import Together

_COUNTS = counted()


class SqlTasks:
    """`TaskStore` in a database."""

    def __init__(
        self, *, database: Database, reads: Reads | None = None, max_queued: int = 0
    ) -> None:
        self._database = database
        self._max_queued = max_queued
        self._glance_rows = QuickRead(database, GLANCES, TASKS.c.id)
        self._reads = reads or Reads(database)
        self._queue = Places(database)
        self._placed: Together[str, tuple[str, int] | None] = Together(self._places)
        self._inserts = Inserts(database)
        self._desks: WeakValueDictionary[str, Desk] = WeakValueDictionary()

    async def add(
        self,
        task: Task,
        attempt: Attempt,
        idempotency: Idempotency | None = None,
        *,
        upload_id: str | None = None,
    ) -> Task:
        """Insert everything that a new task consists of; a known key gives the stored task."""
        new = NewTask(task, attempt, idempotency, upload_id)
        place = await self._desk(task.tenant_id).add(new)
        if place is not None:
            return task.model_copy(update={"seq": 1, "place": place})
        # Either the key is known, or this very task was stored before.
        stored = await self.known(task.tenant_id, idempotency) if idempotency else None
        return stored or await self.get(task.id, tenant_id=task.tenant_id)

    def _desk(self, tenant_id: str) -> Desk:
        desk = self._desks.get(tenant_id)
        if desk is None:
            desk = self._desks[tenant_id] = Desk(
                self._database,
                self._inserts,
                self._queue,
                tenant_id=tenant_id,
                most=self._max_queued,
            )
        return desk

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
        row = await self._reads.row(self._glance_rows, task_id)
        if row is None or row[1] != tenant_id:
            raise no_such_task()
        return Glance(TaskStatus(row[2]), tuple(row[3:]))

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
        found = await self._queue.of(ids)
        return [found.get(each) for each in ids]


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
