"""Rows of sandboxes: inserted under a fence, and moved forward only."""

from typing import Any

from sqlalchemy import RowMapping, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.fenced import held
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.guarded import insert_while
from codexsys_adapters.sql.tables import ATTEMPTS, SANDBOXES
from codexsys_adapters.sql.times import aware, naive, now_sql
from codexsys_core.attempt import Hold
from codexsys_core.errors import Conflict
from codexsys_core.moves import AttemptState
from codexsys_core.sandbox import Sandbox, SandboxState

_TIMES = ("deadline", "created_at", "ended_at", "destroyed_at")


class SqlSandboxes:
    """A `SandboxStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, hold: Hold, sandbox: Sandbox) -> bool:
        """Insert the row while the hold is good; adding the same id again is no error."""

        async def statements(connection: AsyncConnection) -> bool:
            if await connection.scalar(select(SANDBOXES.c.id).where(SANDBOXES.c.id == sandbox.id)):
                return True
            return await insert_while(
                connection,
                SANDBOXES,
                _values(sandbox),
                ATTEMPTS,
                ATTEMPTS.c.id == hold.attempt_id,
                ATTEMPTS.c.fence == hold.fence,
                ATTEMPTS.c.state == AttemptState.RUNNING.value,
            )

        return await self._database.transact(statements)

    async def live(self, sandbox_id: str) -> bool:
        """Move new → live; True also when it is live already."""
        statement = (
            update(SANDBOXES)
            .where(SANDBOXES.c.id == sandbox_id, SANDBOXES.c.state != SandboxState.ENDED.value)
            .values(state=SandboxState.LIVE.value)
        )
        return await self._matched(statement) == 1

    async def end(self, hold: Hold, sandbox_id: str, reason: str) -> bool:
        """Move to ended while the hold is good; the first reason stays."""
        ended = {"state": SandboxState.ENDED.value, "ended_at": now_sql(), "end_reason": reason}
        row = SANDBOXES.c.id == sandbox_id

        async def statements(connection: AsyncConnection) -> bool:
            if await held(connection, hold):
                live = update(SANDBOXES).where(row, SANDBOXES.c.state != SandboxState.ENDED.value)
                await connection.execute(live.values(**ended))
                return True
            state = await connection.scalar(select(SANDBOXES.c.state).where(row))
            return bool(state == SandboxState.ENDED.value)

        return await self._database.transact(statements)

    async def destroyed(self, sandbox_id: str) -> None:
        """Note that nothing is left; `Conflict` while the row has not ended."""
        matched = await self._matched(
            update(SANDBOXES)
            .where(SANDBOXES.c.id == sandbox_id, SANDBOXES.c.state == SandboxState.ENDED.value)
            .values(destroyed_at=func.coalesce(SANDBOXES.c.destroyed_at, now_sql()))
        )
        if not matched:
            raise Conflict(f"The sandbox {sandbox_id} has not ended.")

    async def by_token(self, token_hash: str) -> Sandbox | None:
        """Return the sandbox with this token unless it has ended."""
        found = await self._rows(
            SANDBOXES.c.token_hash == token_hash, SANDBOXES.c.state != SandboxState.ENDED.value
        )
        return found[0] if found else None

    async def get(self, sandbox_id: str) -> Sandbox | None:
        """Return a row."""
        found = await self._rows(SANDBOXES.c.id == sandbox_id)
        return found[0] if found else None

    async def of_task(self, task_id: str) -> list[Sandbox]:
        """Return all rows of a task in order."""
        return await self._rows(SANDBOXES.c.task_id == task_id)

    async def undestroyed(self, place: str) -> list[Sandbox]:
        """Return the rows at this place of which something may be left."""
        return await self._rows(SANDBOXES.c.place == place, SANDBOXES.c.destroyed_at.is_(None))

    async def _rows(self, *conditions: Any) -> list[Sandbox]:
        statement = (
            select(SANDBOXES).where(*conditions).order_by(SANDBOXES.c.created_at, SANDBOXES.c.id)
        )

        async def statements(connection: AsyncConnection) -> list[Sandbox]:
            return [_sandbox(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.look(statements)

    async def _matched(self, statement: Any) -> int:
        async def statements(connection: AsyncConnection) -> int:
            return int((await connection.execute(statement)).rowcount)

        return await self._database.transact(statements)


def _values(sandbox: Sandbox) -> dict[str, Any]:
    values = sandbox.model_dump(mode="python")
    values |= {"role": sandbox.role.value, "state": SandboxState.NEW.value}
    return values | {name: values[name] and naive(values[name]) for name in _TIMES}


def _sandbox(row: RowMapping) -> Sandbox:
    return Sandbox.model_validate({**row, **{name: aware(row[name]) for name in _TIMES}})
