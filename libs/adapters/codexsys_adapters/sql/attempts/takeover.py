"""Attempts whose owner is gone: back to the queue under a raised fence, or to their end."""

from typing import Any

from sqlalchemy import RowMapping, and_, case, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.endings import (
    CANCELLED,
    end_sandboxes,
    end_task,
    ended,
    queue_again,
)
from codexsys_adapters.sql.attempts.fenced import attempt_row, hold_of
from codexsys_adapters.sql.tables import ATTEMPTS, SANDBOXES
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.attempt import Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.event import EventType
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.sandbox import SandboxRole, SandboxState

RELEASED = ATTEMPTS.c.owner.is_(None)
"""Of a running attempt: its owner let go of it, and nobody died."""
DEATHS = ATTEMPTS.c.takeovers + case((RELEASED, 0), else_=1)
LIVING = (
    SANDBOXES.c.role == SandboxRole.AGENT.value,
    SANDBOXES.c.state == SandboxState.LIVE.value,
)
"""What tells a sandbox that somebody can carry on with."""
_POISONED = Ending(status=TaskStatus.FAILED, outcome=Outcome(reason=EndReason.POISONED))


async def expired(
    connection: AsyncConnection, grace_seconds: float, limit: int, *, restart_seconds: float = 0
) -> list[RowMapping]:
    """Return running attempts whose lease ran out, and that nobody adopted within the grace."""
    ran_out = _ran_out(grace_seconds, restart_seconds)
    rows = select(ATTEMPTS.c.id, ATTEMPTS.c.fence).where(*ran_out)
    return list(
        (await connection.execute(rows.order_by(ATTEMPTS.c.lease_until).limit(limit))).mappings()
    )


async def take_over(
    connection: AsyncConnection,
    *,
    row: RowMapping,
    grace_seconds: float,
    restart_seconds: float,
    most: int,
) -> Hold | None:
    """Take one attempt from its owner; None when the owner, or another relay, was faster."""
    theirs = (
        ATTEMPTS.c.id == row["id"],
        ATTEMPTS.c.fence == row["fence"],
        *_ran_out(grace_seconds, restart_seconds),
    )
    # MySQL sets columns one after the other: what reads the owner stands before what clears it.
    taken = (
        update(ATTEMPTS)
        .where(*theirs)
        .ordered_values(
            (ATTEMPTS.c.takeovers, DEATHS),
            (ATTEMPTS.c.fence, ATTEMPTS.c.fence + 1),
            (ATTEMPTS.c.owner, None),
        )
    )
    if (await connection.execute(taken)).rowcount != 1:
        return None
    return await to_the_queue(connection, row["id"], reason="taken_over", most=most)


async def to_the_queue(
    connection: AsyncConnection, attempt_id: str, *, reason: str, most: int
) -> Hold:
    """Queue an attempt whose row is locked and has no owner, or end it, and its sandboxes' rows."""
    await end_sandboxes(connection, attempt_id, reason)
    now = await attempt_row(connection, attempt_id)
    hold = hold_of(now)
    if now["cancel_at"] is not None:
        await _close(connection, hold, CANCELLED)
    elif now["takeovers"] > most:
        await _close(connection, hold, _POISONED)
    else:
        row = update(ATTEMPTS).where(ATTEMPTS.c.id == attempt_id)
        queued = {"state": AttemptState.QUEUED.value, "lease_until": None, "due_at": now_sql()}
        await connection.execute(row.values(**queued))
        data = {"takeovers": now["takeovers"]}
        await queue_again(connection, hold, EventType.TASK_TAKEN_OVER, data, number=hold.number)
    return hold


async def _close(connection: AsyncConnection, hold: Hold, ending: Ending) -> None:
    row = update(ATTEMPTS).where(ATTEMPTS.c.id == hold.attempt_id)
    await connection.execute(row.values(**ended(ending.outcome)))
    await end_task(connection, hold, ending)


def _ran_out(grace_seconds: float, restart_seconds: float) -> tuple[Any, ...]:
    """Only who has a living agent has to wait: somebody may carry on with that.

    A lease that was released ran out there and then. Its place has as long as if it had not been.
    """
    living = exists().where(SANDBOXES.c.attempt_id == ATTEMPTS.c.id, *LIVING)
    long_ago = ATTEMPTS.c.lease_until <= after_sql(-grace_seconds - restart_seconds)
    died_long_ago = and_(ATTEMPTS.c.lease_until <= after_sql(-grace_seconds), ~RELEASED)
    return (
        ATTEMPTS.c.state == AttemptState.RUNNING.value,
        ATTEMPTS.c.lease_until <= now_sql(),
        or_(long_ago, died_long_ago, ~living),
    )
