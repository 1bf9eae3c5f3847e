"""Rows whose time is over, each found and removed by a conditional statement."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import (
    ARTIFACTS,
    CHECKPOINTS,
    IDEMPOTENCY,
    LOG_CHUNKS,
    LOG_STREAMS,
    TASKS,
)
from codexsys_adapters.sql.tasks.needs import needed
from codexsys_adapters.sql.times import after_sql, aware, now_sql
from codexsys_core.checkpoint import Checkpoint
from codexsys_core.log import FILES
from codexsys_core.retention import Kept

_KEY_SECONDS = 24 * 3600
_DELETED_SECONDS = 3600
"""Objects of a deleted task are looked for once more after it: a stale worker may have written some."""
_GONE = {Kept.CODE: TASKS.c.code_gone_at, Kept.FILES: TASKS.c.files_gone_at}


class SqlRetention:
    """A `RetentionStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def due(self, kept: Kept, *, after_seconds: float, limit: int) -> list[str]:
        """Return tasks that still keep this and should not, the oldest first."""
        over = or_(
            TASKS.c.finished_at < after_sql(-after_seconds),
            and_(
                TASKS.c.deleted_at.is_not(None), TASKS.c.deleted_at < after_sql(-_DELETED_SECONDS)
            ),
        )
        wanted = select(TASKS.c.id).where(
            _GONE[kept].is_(None), TASKS.c.finished_at.is_not(None), over, ~needed(TASKS.c.id)
        )
        if kept is Kept.CODE:
            wanted = wanted.where(~_only_in_checkpoints())
        rows = await self._read(wanted.order_by(TASKS.c.finished_at).limit(limit))
        return [row.id for row in rows]

    async def gone(self, task_id: str, kept: Kept) -> None:
        """Note it once; the rows that pointed at files go in the same transaction."""
        column = _GONE[kept]
        row = update(TASKS).where(TASKS.c.id == task_id, column.is_(None))

        async def statements(connection: AsyncConnection) -> None:
            await connection.execute(row.values({column: now_sql()}))
            if kept is Kept.FILES:
                await remove_rows(connection, task_id)

        await self._database.transact(statements)

    async def old_checkpoints(
        self, *, keep: int, limit: int, after_seconds: float
    ) -> list[Checkpoint]:
        """Return what is beyond the last ones, and was not made just now."""
        row = CHECKPOINTS.c
        newest = (row.attempt.desc(), row.fence.desc(), row.number.desc())
        place = func.row_number().over(partition_by=row.task_id, order_by=newest).label("place")
        many = (
            select(row.task_id).group_by(row.task_id).having(func.count() > keep).limit(limit)
        ).subquery()
        ranked = (
            select(CHECKPOINTS, place).join(many, many.c.task_id == row.task_id).subquery("ranked")
        )
        old = (ranked.c.place > keep, ranked.c.created_at <= after_sql(-after_seconds))
        rows = await self._read(select(ranked).where(*old).limit(limit))
        return [
            Checkpoint.model_validate(
                {
                    **{name: getattr(found, name) for name in Checkpoint.model_fields},
                    "created_at": aware(found.created_at),
                }
            )
            for found in rows
        ]

    async def forget_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Remove a checkpoint's row."""
        await self._matched(delete(CHECKPOINTS).where(CHECKPOINTS.c.id == checkpoint.id))

    async def clear_chunks(self, *, after_seconds: float, limit: int) -> int:
        """Remove chunks, a stream at a time; the stream's row stays and knows its size."""
        stream = LOG_STREAMS.c
        kept = [
            and_(stream.stream == name, ARTIFACTS.c.name == file) for name, file in FILES.items()
        ]
        wanted = (
            select(stream.task_id, stream.stream)
            .join(ARTIFACTS, and_(ARTIFACTS.c.task_id == stream.task_id, or_(*kept)))
            .where(stream.cleared_at.is_(None), stream.sealed_at < after_sql(-after_seconds))
            .order_by(stream.sealed_at)
            .limit(limit)
        )
        found = await self._read(wanted)
        for row in found:
            await self._clear(row.task_id, row.stream)
        return len(found)

    async def clear_keys(self, *, limit: int) -> int:
        """Remove old keys; one that is taken anew at this moment is not old any more."""
        row = IDEMPOTENCY.c
        old = row.created_at <= after_sql(-_KEY_SECONDS)
        found = await self._read(select(row.tenant_id, row.key).where(old).limit(limit))
        if not found:
            return 0
        named = tuple_(row.tenant_id, row.key).in_([(each.tenant_id, each.key) for each in found])
        return await self._matched(delete(IDEMPOTENCY).where(named, old))

    async def unknown(self, task_ids: Collection[str]) -> set[str]:
        """Return those of which there is no task."""
        ids = list(task_ids)
        known: set[str] = set()
        for start in range(0, len(ids), 500):
            some = select(TASKS.c.id).where(TASKS.c.id.in_(ids[start : start + 500]))
            known |= {row.id for row in await self._read(some)}
        return set(ids) - known

    async def _clear(self, task_id: str, stream: str) -> None:
        row = LOG_STREAMS.c
        mine = and_(row.task_id == task_id, row.stream == stream, row.sealed_at.is_not(None))

        async def statements(connection: AsyncConnection) -> None:
            cleared = update(LOG_STREAMS).where(mine).values(cleared_at=now_sql())
            if (await connection.execute(cleared)).rowcount:
                chunk = LOG_CHUNKS.c
                await connection.execute(
                    delete(LOG_CHUNKS).where(chunk.task_id == task_id, chunk.stream == stream)
                )

        await self._database.transact(statements)

    async def _read(self, statement: Any) -> Sequence[Any]:
        async def statements(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(statement)).all()

        return await self._database.look(statements)

    async def _matched(self, statement: Executable) -> int:
        async def statements(connection: AsyncConnection) -> int:
            return int((await connection.execute(statement)).rowcount)

        return await self._database.transact(statements)


async def remove_rows(connection: AsyncConnection, task_id: str) -> None:
    """Remove what points at a task's files, and the text of its logs; their sizes stay, sealed."""
    for table in (ARTIFACTS, CHECKPOINTS, LOG_CHUNKS):
        await connection.execute(delete(table).where(_of(table, task_id)))
    sealed = {
        "sealed_at": func.coalesce(LOG_STREAMS.c.sealed_at, now_sql()),
        "cleared_at": now_sql(),
    }
    await connection.execute(
        update(LOG_STREAMS).where(LOG_STREAMS.c.task_id == task_id).values(**sealed)
    )


def _only_in_checkpoints() -> ColumnElement[bool]:
    """Return the condition that a task's change is made of its base whenever it is asked for."""
    row, file = CHECKPOINTS.c, ARTIFACTS.c
    changed = select(row.id).where(row.task_id == TASKS.c.id, row.patch_size > 0)
    own = select(file.name).where(file.task_id == TASKS.c.id, file.name == "diff.patch")
    return changed.exists() & ~own.exists()


def _of(table: Any, task_id: str) -> ColumnElement[bool]:
    return table.c.task_id == task_id  # type: ignore[no-any-return]
