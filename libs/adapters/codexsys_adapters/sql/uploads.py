"""Uploads, each of which becomes one task."""

from contextlib import suppress
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.idempotency import once
from codexsys_adapters.sql.tables import UPLOADS
from codexsys_adapters.sql.times import after_sql, aware, naive
from codexsys_core.errors import RateLimited
from codexsys_core.idempotency import Idempotency
from codexsys_core.task import Task
from codexsys_core.upload import MOST_UNUSED, Upload, unknown, used

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
    free = or_(row.task_id.is_(None), row.task_id == task.id)
    mine = update(UPLOADS).where(row.id == upload_id, row.tenant_id == task.tenant_id, free)
    if (await connection.execute(mine.values(task_id=task.id))).rowcount == 1:
        return
    taken = await _read(connection, upload_id, task.tenant_id)
    raise unknown() if taken is None else used(taken.task_id or "")


async def _must_be_few(connection: AsyncConnection, tenant_id: str) -> None:
    mine = (UPLOADS.c.tenant_id == tenant_id) & UPLOADS.c.task_id.is_(None)
    if (await connection.scalar(select(func.count()).where(mine)) or 0) >= MOST_UNUSED:
        raise RateLimited(
            f"{MOST_UNUSED} uploads wait for a task to be made of them. Use some; each is forgotten after a day.",
            code="uploads_full",
            retry_after=FULL_SECONDS,
            policy=("uploads", MOST_UNUSED, 0),
        )


async def _read(connection: AsyncConnection, upload_id: str, tenant_id: str) -> Upload | None:
    wanted = select(UPLOADS).where(UPLOADS.c.id == upload_id, UPLOADS.c.tenant_id == tenant_id)
    row = (await connection.execute(wanted)).mappings().one_or_none()
    return None if row is None else _upload(row)


def _upload(row: RowMapping) -> Upload:
    values: dict[str, Any] = {**row, "created_at": aware(row["created_at"])}
    return Upload.model_validate(values)
