"""Attempts whose agent lives without an owner: to a worker that can reach it, nothing restarted."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.endings import end_sandboxes, open_streams
from codexsys_adapters.sql.attempts.fenced import owned
from codexsys_adapters.sql.attempts.takeover import DEATHS, LIVING, RELEASED, to_the_queue
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.tables import ATTEMPTS, SANDBOXES
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.attempt import Claim, Heir, Hold, Living
from codexsys_core.event import EventType
from codexsys_core.moves import AttemptState
from codexsys_core.vigil import MOST_TAKEOVERS


class SqlOrphans:
    """`Orphans` in a database."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def adopt(
        self,
        heir: Heir,
        *,
        held: Sequence[str],
        most: int,
        limit: int,
        waited_seconds: float = 0,
        released: bool = False,
    ) -> list[Claim]:
        """Take attempts whose agent lives at this place, one transaction each."""
        wanted = (
            _ran_out(waited_seconds),
            RELEASED if released else or_(RELEASED, ATTEMPTS.c.takeovers < most),
            ATTEMPTS.c.id.not_in(held),
        )
        rows = await self._database.look(lambda c: _adoptable(c, heir, wanted, limit))
        taken = [await self._database.transact(partial(_adopt, row=row, heir=heir)) for row in rows]
        return [claim for claim in taken if claim is not None]

    async def release(self, owner: str, held: Sequence[Hold]) -> list[Hold]:
        """Let go of attempts, one transaction each."""
        return [
            hold
            for hold in held
            if await self._database.transact(partial(_release, hold=hold, owner=owner))
        ]


def _ran_out(seconds_ago: float = 0) -> ColumnElement[bool]:
    return and_(
        ATTEMPTS.c.state == AttemptState.RUNNING.value,
        ATTEMPTS.c.lease_until <= after_sql(-seconds_ago),
    )


async def _adoptable(
    connection: AsyncConnection, heir: Heir, wanted: Sequence[ColumnElement[bool]], limit: int
) -> list[RowMapping]:
    """Return attempts with a living agent at this place, the longest without an owner first."""
    rows = (
        select(
            ATTEMPTS.c.id,
            ATTEMPTS.c.task_id,
            ATTEMPTS.c.fence,
            RELEASED.label("released"),
            SANDBOXES.c.id.label("sandbox_id"),
            SANDBOXES.c.fence.label("sandbox_fence"),
        )
        .join(SANDBOXES, SANDBOXES.c.attempt_id == ATTEMPTS.c.id)
        .where(*wanted, *LIVING, SANDBOXES.c.place == heir.place, SANDBOXES.c.life == heir.life)
        .order_by(ATTEMPTS.c.lease_until)
        .limit(limit)
    )
    return list((await connection.execute(rows)).mappings())


async def _adopt(connection: AsyncConnection, *, row: RowMapping, heir: Heir) -> Claim | None:
    """Take one attempt with its sandbox; None when its owner, a relay or another worker was faster."""
    attempt = ATTEMPTS.c.id == row["id"]
    expired = (attempt, ATTEMPTS.c.fence == row["fence"], _ran_out())
    # The row is locked before its sandbox is looked at: nobody ends one without that lock.
    locked = update(ATTEMPTS).where(*expired).values(fence=ATTEMPTS.c.fence)
    if (await connection.execute(locked)).rowcount != 1:
        return await _taken_before(connection, row, heir.owner)
    living = select(SANDBOXES.c.id).where(SANDBOXES.c.id == row["sandbox_id"], *LIVING)
    if await connection.scalar(living) is None:
        return None
    # MySQL sets columns one after the other: what reads the owner stands before what sets it.
    taken = update(ATTEMPTS).ordered_values(
        (ATTEMPTS.c.takeovers, DEATHS),
        (ATTEMPTS.c.fence, ATTEMPTS.c.fence + 1),
        (ATTEMPTS.c.owner, heir.owner),
        (ATTEMPTS.c.lease_until, after_sql(heir.lease_seconds)),
    )
    await connection.execute(taken.where(attempt))
    await end_sandboxes(connection, row["id"], "taken_over", but=row["sandbox_id"])
    await open_streams(connection, row["task_id"])
    claim = await _claim(connection, row, heir.owner)
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
    living = Living(
        sandbox_id=row["sandbox_id"], fence=row["sandbox_fence"], released=bool(row["released"])
    )
    return claim and claim.model_copy(update={"living": living})


async def _release(connection: AsyncConnection, *, hold: Hold, owner: str) -> bool:
    """Let go of one attempt: to an heir if its agent lives, else to the queue."""
    mine = (
        ATTEMPTS.c.id == hold.attempt_id,
        ATTEMPTS.c.fence == hold.fence,
        ATTEMPTS.c.owner == owner,
        ATTEMPTS.c.state == AttemptState.RUNNING.value,
    )
    values: dict[str, Any] = {
        "owner": None,
        "fence": ATTEMPTS.c.fence + 1,
        "lease_until": now_sql(),
    }
    if (await connection.execute(update(ATTEMPTS).where(*mine).values(**values))).rowcount != 1:
        return False
    living = select(SANDBOXES.c.id).where(SANDBOXES.c.attempt_id == hold.attempt_id, *LIVING)
    if await connection.scalar(living.limit(1)) is None:
        await to_the_queue(connection, hold.attempt_id, reason="released", most=MOST_TAKEOVERS)
    return True
