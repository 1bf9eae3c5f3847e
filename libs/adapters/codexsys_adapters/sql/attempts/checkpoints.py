"""Rows of checkpoints, taken from live sandboxes only."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.guarded import insert_while
from codexsys_adapters.sql.tables import CHECKPOINTS, SANDBOXES
from codexsys_adapters.sql.times import aware, naive
from codexsys_core.checkpoint import Checkpoint
from codexsys_core.sandbox import SandboxState


class SqlCheckpoints:
    """A `CheckpointStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, checkpoint: Checkpoint, *, sandbox_id: str) -> bool:
        """Record one, if the sandbox's row is live; the same number twice is one."""
        rows = CHECKPOINTS.c
        same = select(rows.id).where(
            rows.task_id == checkpoint.task_id,
            rows.attempt == checkpoint.attempt,
            rows.fence == checkpoint.fence,
            rows.number == checkpoint.number,
        )

        async def statements(connection: AsyncConnection) -> bool:
            # Copies of one checkpoint come one after the other: each holds the sandbox's row.
            sandbox = select(SANDBOXES.c.id).where(SANDBOXES.c.id == sandbox_id).with_for_update()
            await connection.execute(sandbox)
            if await connection.scalar(same):
                return True
            return await insert_while(
                connection,
                CHECKPOINTS,
                {**checkpoint.model_dump(), "created_at": naive(checkpoint.created_at)},
                SANDBOXES,
                SANDBOXES.c.id == sandbox_id,
                SANDBOXES.c.task_id == checkpoint.task_id,
                SANDBOXES.c.state != SandboxState.ENDED.value,
            )

        return await self._database.transact(statements)

    async def last(self, task_id: str) -> Checkpoint | None:
        """Return the newest by (attempt, fence, number)."""
        rows = CHECKPOINTS.c
        statement = (
            select(CHECKPOINTS)
            .where(rows.task_id == task_id)
            .order_by(rows.attempt.desc(), rows.fence.desc(), rows.number.desc())
            .limit(1)
        )

        async def statements(connection: AsyncConnection) -> Checkpoint | None:
            row = (await connection.execute(statement)).mappings().one_or_none()
            return (
                None
                if row is None
                else Checkpoint.model_validate({**row, "created_at": aware(row["created_at"])})
            )

        return await self._database.look(statements)
