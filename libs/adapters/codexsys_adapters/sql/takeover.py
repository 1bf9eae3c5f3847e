"""Attempts whose owner is gone: back to the queue under a raised fence, or to their end."""

from typing import Any

from sqlalchemy import RowMapping, exists, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.adoption import LIVING
from codexsys_adapters.sql.endings import CANCELLED, end_sandboxes, end_task, ended, queue_again
from codexsys_adapters.sql.fenced import attempt_row, hold_of
from codexsys_adapters.sql.tables import ATTEMPTS, SANDBOXES
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.attempt import Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.event import EventType
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.outcome import Outcome

_POISONED = Ending(status=TaskStatus.FAILED, outcome=Outcome(reason=EndReason.POISONED))


async def expired(
    connection: AsyncConnection, grace_seconds: float, limit: int
) -> list[RowMapping]:
    """Return running attempts whose lease ran out, and that nobody adopted within the grace."""
    rows = select(ATTEMPTS.c.id, ATTEMPTS.c.fence).where(*_ran_out(grace_seconds))
    return list(
        (await connection.execute(rows.order_by(ATTEMPTS.c.lease_until).limit(limit))).mappings()
    )


async def take_over(
    connection: AsyncConnection, *, row: RowMapping, grace_seconds: float, most: int
) -> Hold | None:
    """Take one attempt from its owner; None when the owner, or another relay, was faster."""
    theirs = (
        ATTEMPTS.c.id == row["id"],
        ATTEMPTS.c.fence == row["fence"],
        *_ran_out(grace_seconds),
    )
    taken = (
        update(ATTEMPTS)
        .where(*theirs)
        .values(
            fence=ATTEMPTS.c.fence + 1,
            takeovers=ATTEMPTS.c.takeovers + 1,
            state=AttemptState.QUEUED.value,
            owner=None,
            lease_until=None,
            due_at=now_sql(),
        )
    )
    if (await connection.execute(taken)).rowcount != 1:
        return None
    await end_sandboxes(connection, row["id"], "taken_over")
    now = await attempt_row(connection, row["id"])
    hold = hold_of(now)
    if now["cancel_at"] is not None:
        await _close(connection, hold, CANCELLED)
    elif now["takeovers"] > most:
        await _close(connection, hold, _POISONED)
    else:
        data = {"takeovers": now["takeovers"]}
        await queue_again(connection, hold, EventType.TASK_TAKEN_OVER, data, number=hold.number)
    return hold


async def _close(connection: AsyncConnection, hold: Hold, ending: Ending) -> None:
    row = update(ATTEMPTS).where(ATTEMPTS.c.id == hold.attempt_id)
    await connection.execute(row.values(**ended(ending.outcome)))
    await end_task(connection, hold, ending)


def _ran_out(grace_seconds: float) -> tuple[Any, ...]:
    """Only who has a living agent has to wait: somebody may carry on with that."""
    living = exists().where(SANDBOXES.c.attempt_id == ATTEMPTS.c.id, *LIVING)
    return (
        ATTEMPTS.c.state == AttemptState.RUNNING.value,
        ATTEMPTS.c.lease_until < now_sql(),
        or_(ATTEMPTS.c.lease_until < after_sql(-grace_seconds), ~living),
    )
