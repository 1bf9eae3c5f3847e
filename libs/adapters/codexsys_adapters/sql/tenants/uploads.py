"""Uploads, each of which becomes one task."""

from contextlib import suppress
from typing import Any

from sqlalchemy import RowMapping, case, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import UPLOADS
from codexsys_adapters.sql.tenants.idempotency import once
from codexsys_adapters.sql.times import after_sql, aware, naive, now_sql
from codexsys_core.errors import Conflict, NotFound, RateLimited
from codexsys_core.idempotency import Idempotency
from codexsys_core.task import Task
from codexsys_core.upload import MOST_A_DAY, MOST_UNUSED, Upload, unknown, used

FULL_SECONDS = 60


class SqlUploads:
    """An `UploadStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, upload: Upload, idempotency: Idempotency | None = None) -> Upload:
        """Insert it; a known key gives what was made with it."""

        async def statements(connection: AsyncConnection) -> None:
            await _must_be_few(connection, upload.tenant_id)
            values = upload.model_dump() | {"created_at": naive(upload.created_at)}
            await connection.execute(insert(UPLOADS).values(**values))

        with suppress(IntegrityError):  # this very row was committed before its connection broke
            made = await once(self._database, upload.tenant_id, upload.id, idempotency, statements)
            if made != upload.id:
                return await self._made(made, upload.tenant_id)
        return upload

    async def _made(self, upload_id: str, tenant_id: str) -> Upload:
        found = await self.get(upload_id, tenant_id=tenant_id)
        if found is None:
            raise unknown()
        return found

    async def get(self, upload_id: str, *, tenant_id: str) -> Upload | None:
        """Return one."""
        return await self._database.look(lambda connection: _read(connection, upload_id, tenant_id))

    async def refuse(self, upload_id: str, *, tenant_id: str) -> None:
        """Note that its zip was no good."""
        row = UPLOADS.c
        mine = update(UPLOADS).where(row.id == upload_id, row.tenant_id == tenant_id)

        async def statements(connection: AsyncConnection) -> None:
            await connection.execute(mine.values(refused_at=now_sql()))

        await self._database.transact(statements)

    async def give_up(self, upload_id: str, *, tenant_id: str) -> None:
        """Make it unusable, unless a task was made of it."""
        row = UPLOADS.c
        mine = update(UPLOADS).where(row.id == upload_id, row.tenant_id == tenant_id)
        unused = mine.where(row.task_id.is_(None), row.deleted_at.is_(None))

        async def statements(connection: AsyncConnection) -> None:
            if (await connection.execute(unused.values(deleted_at=now_sql()))).rowcount == 1:
                return
            found = await _read(connection, upload_id, tenant_id)
            if found is None:
                raise NotFound("There is no such upload.", code="upload_not_found")
            said = f"A task was made of this upload: {found.task_id}. Delete that."
            raise Conflict(said, code="upload_used")

        await self._database.transact(statements)

    async def old(self, *, after_seconds: float, limit: int) -> list[Upload]:
        """Return those that were asked for longer ago."""
        created = UPLOADS.c.created_at
        wanted = select(UPLOADS).where(created <= after_sql(-after_seconds))

        async def statements(connection: AsyncConnection) -> list[Upload]:
            rows = await connection.execute(wanted.order_by(created).limit(limit))
            return [_upload(row) for row in rows.mappings()]

        return await self._database.look(statements)

    async def forget(self, upload_id: str) -> None:
        """Remove a row."""

        async def statements(connection: AsyncConnection) -> None:
            await connection.execute(delete(UPLOADS).where(UPLOADS.c.id == upload_id))

        await self._database.transact(statements)


async def use(connection: AsyncConnection, upload_id: str, task: Task) -> None:
    """Mark an upload as this task's, or say why not; the same task may say so twice."""
    row = UPLOADS.c
    free = or_(row.task_id.is_(None) & row.deleted_at.is_(None), row.task_id == task.id)
    mine = update(UPLOADS).where(row.id == upload_id, row.tenant_id == task.tenant_id, free)
    if (await connection.execute(mine.values(task_id=task.id))).rowcount == 1:
        return
    taken = await _read(connection, upload_id, task.tenant_id)
    raise unknown() if taken is None else used(taken.task_id or "")


async def _must_be_few(connection: AsyncConnection, tenant_id: str) -> None:
    row = UPLOADS.c
    waiting = row.refused_at.is_(None) & row.deleted_at.is_(None)
    counted = select(func.count(), func.count(case((waiting, 1)))).where(
        row.tenant_id == tenant_id, row.task_id.is_(None)
    )
    unused, held = (await connection.execute(counted)).one()
    if held >= MOST_UNUSED:
        raise _full(
            f"{MOST_UNUSED} uploads wait for a task to be made of them. Use or delete some; each is forgotten after a day.",
            MOST_UNUSED,
        )
    if unused >= MOST_A_DAY:
        raise _full(
            f"No task was made of {MOST_A_DAY:,} uploads of the last day. Each is forgotten after a day.",
            MOST_A_DAY,
        )


def _full(said: str, most: int) -> RateLimited:
    return RateLimited(
        said, code="uploads_full", retry_after=FULL_SECONDS, policy=("uploads", most, 0)
    )


async def _read(connection: AsyncConnection, upload_id: str, tenant_id: str) -> Upload | None:
    columns = UPLOADS.c
    wanted = select(UPLOADS).where(
        columns.id == upload_id, columns.tenant_id == tenant_id, columns.deleted_at.is_(None)
    )
    row = (await connection.execute(wanted)).mappings().one_or_none()
    return None if row is None else _upload(row)


def _upload(row: RowMapping) -> Upload:
    fields = {name: row[name] for name in Upload.model_fields}
    values: dict[str, Any] = fields | {"created_at": aware(row["created_at"])}
    return Upload.model_validate(values)
