"""Attempts whose owner is gone but whose agent lives: to a worker that can reach it, nothing restarted."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.endings import end_sandboxes, open_streams
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.event_rows import append_event
from codexsys_adapters.sql.fenced import owned
from codexsys_adapters.sql.tables import ATTEMPTS, SANDBOXES
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.attempt import Claim, Living
from codexsys_core.event import EventType
from codexsys_core.moves import AttemptState
from codexsys_core.sandbox import SandboxRole, SandboxState

_EXPIRED = (ATTEMPTS.c.state == AttemptState.RUNNING.value, ATTEMPTS.c.lease_until < now_sql())
LIVING = (
    SANDBOXES.c.role == SandboxRole.AGENT.value,
    SANDBOXES.c.state == SandboxState.LIVE.value,
)
"""What tells a sandbox that somebody can carry on with."""


class SqlOrphans:
    """`Orphans` in a database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def adopt(
        self,
        owner: str,
        place: str,
        *,
        held: Sequence[str],
        lease_seconds: float,
        most: int,
        limit: int,
    ) -> list[Claim]:
        """Take attempts whose agent lives at this place, one transaction each."""
        rows = await self._database.look(
            lambda c: _adoptable(c, place, held, most=most, limit=limit)
        )
        taken = [
            await self._database.transact(
                partial(_adopt, row=row, owner=owner, lease_seconds=lease_seconds)
            )
            for row in rows
        ]
        return [claim for claim in taken if claim is not None]


async def _adoptable(
    connection: AsyncConnection, place: str, held: Sequence[str], *, most: int, limit: int
) -> list[RowMapping]:
    """Return expired attempts with a living agent at this place, the longest without an owner first."""
    rows = (
        select(
            ATTEMPTS.c.id,
            ATTEMPTS.c.task_id,
            ATTEMPTS.c.fence,
            SANDBOXES.c.id.label("sandbox_id"),
            SANDBOXES.c.fence.label("sandbox_fence"),
        )
        .join(SANDBOXES, SANDBOXES.c.attempt_id == ATTEMPTS.c.id)
        .where(
            *_EXPIRED,
            *LIVING,
            SANDBOXES.c.place == place,
            ATTEMPTS.c.takeovers < most,
            ATTEMPTS.c.id.not_in(held),
        )
        .order_by(ATTEMPTS.c.lease_until)
        .limit(limit)
    )
    return list((await connection.execute(rows)).mappings())


async def _adopt(
    connection: AsyncConnection, *, row: RowMapping, owner: str, lease_seconds: float
) -> Claim | None:
    """Take one attempt with its sandbox; None when its owner, a relay or another worker was faster."""
    attempt = ATTEMPTS.c.id == row["id"]
    expired = (attempt, ATTEMPTS.c.fence == row["fence"], *_EXPIRED)
    # The row is locked before its sandbox is looked at: nobody ends one without that lock.
    locked = update(ATTEMPTS).where(*expired).values(fence=ATTEMPTS.c.fence)
    if (await connection.execute(locked)).rowcount != 1:
        return await _taken_before(connection, row, owner)
    living = select(SANDBOXES.c.id).where(SANDBOXES.c.id == row["sandbox_id"], *LIVING)
    if await connection.scalar(living) is None:
        return None
    values: dict[str, Any] = {
        "owner": owner,
        "fence": ATTEMPTS.c.fence + 1,
        "takeovers": ATTEMPTS.c.takeovers + 1,
        "lease_until": after_sql(lease_seconds),
    }
    await connection.execute(update(ATTEMPTS).where(attempt).values(**values))
    await end_sandboxes(connection, row["id"], "taken_over", but=row["sandbox_id"])
    await open_streams(connection, row["task_id"])
    claim = await _claim(connection, row, owner)
    if claim is not None:
        data = {"status": AttemptState.RUNNING.value, "takeovers": claim.attempt.takeovers}
        await append_event(
            connection,
            row["task_id"],
            EventType.TASK_TAKEN_OVER,
            data,
            attempt=claim.hold.number,
        )
    return claim


async def _taken_before(connection: AsyncConnection, row: RowMapping, owner: str) -> Claim | None:
    """Find what this very call took, when its answer was lost: the next fence, and this owner."""
    claim = await _claim(connection, row, owner)
    return claim if claim is not None and claim.hold.fence == row["fence"] + 1 else None


async def _claim(connection: AsyncConnection, row: RowMapping, owner: str) -> Claim | None:
    claim = await owned(connection, row["task_id"], owner)
    living = Living(sandbox_id=row["sandbox_id"], fence=row["sandbox_fence"])
    return claim and claim.model_copy(update={"living": living})
