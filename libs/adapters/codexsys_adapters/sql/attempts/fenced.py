"""The statements of claims and owners: each names the row's state and fence, and locks it first."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.endings import end_sandboxes, ended, queue_again
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.tables import ATTEMPTS, TASKS, TENANTS
from codexsys_adapters.sql.tasks.rows import new_attempt, read_task, to_attempt
from codexsys_adapters.sql.tenants.quotas import cap, keep_cap
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.attempt import Attempt, Claim, Ending, Hold
from codexsys_core.event import EventType
from codexsys_core.moves import AttemptState
from codexsys_core.outcome import Outcome

_QUEUED, _RUNNING, _ENDED = (
    AttemptState.QUEUED.value,
    AttemptState.RUNNING.value,
    AttemptState.ENDED.value,
)
_TAKEN = (
    select(ATTEMPTS.c.number, ATTEMPTS.c.tenant_id, cap(TENANTS.c.max_running).label("most"))
    .select_from(ATTEMPTS.outerjoin(TENANTS, TENANTS.c.id == ATTEMPTS.c.tenant_id))
    .where(ATTEMPTS.c.task_id == bindparam("taken_task"), ATTEMPTS.c.state == _RUNNING)
)


async def take_waiting(
    connection: AsyncConnection,
    task_id: str,
    owner: str,
    lease_seconds: float,
    *,
    max_running: int,
) -> bool:
    """Make the task's queued, due, not cancelled attempt the owner's, if its tenant may have one more."""
    waiting = update(ATTEMPTS).where(
        ATTEMPTS.c.task_id == task_id,
        ATTEMPTS.c.state == _QUEUED,
        ATTEMPTS.c.due_at <= now_sql(),
        ATTEMPTS.c.cancel_at.is_(None),
    )
    taken = waiting.values(
        owner=owner,
        fence=ATTEMPTS.c.fence + 1,
        lease_until=after_sql(lease_seconds),
        state=_RUNNING,
        started_at=func.coalesce(ATTEMPTS.c.started_at, now_sql()),
    )
    if (await connection.execute(taken)).rowcount != 1:
        return False
    row = (
        await connection.execute(_TAKEN, {"taken_task": task_id, "default_cap": max_running})
    ).one()
    if row.most is not None:
        await keep_cap(connection, row.tenant_id, row.most)
    await append_event(
        connection,
        task_id,
        EventType.TASK_RUNNING,
        {"status": _RUNNING},
        attempt=row.number,
        columns={
            "status": _RUNNING,
            "phase": None,
            "started_at": func.coalesce(TASKS.c.started_at, now_sql()),
        },
    )
    return True


async def owned(connection: AsyncConnection, task_id: str, owner: str) -> Claim | None:
    """Return the claim that the rows show for this owner."""
    wanted = select(ATTEMPTS).where(
        ATTEMPTS.c.task_id == task_id, ATTEMPTS.c.owner == owner, ATTEMPTS.c.state == _RUNNING
    )
    row = (await connection.execute(wanted)).mappings().one_or_none()
    if row is None:
        return None
    task = await read_task(connection, task_id)
    return Claim(hold=hold_of(row), attempt=to_attempt(row), task=task)


def hold_of(row: RowMapping) -> Hold:
    """Return what an owner of this row names."""
    return Hold(
        attempt_id=row["id"],
        task_id=row["task_id"],
        tenant_id=row["tenant_id"],
        number=row["number"],
        fence=row["fence"],
    )


async def renew(
    connection: AsyncConnection, *, owner: str, holds: Sequence[Hold], lease_seconds: float
) -> Mapping[tuple[str, int], bool]:
    """Renew leases; return which (attempt, fence) are still the owner's, and whether each is to be cancelled."""
    # The ids alone, too: not every server finds rows by a list of pairs without reading all.
    mine = (
        ATTEMPTS.c.id.in_([hold.attempt_id for hold in holds])
        & tuple_(ATTEMPTS.c.id, ATTEMPTS.c.fence).in_(
            [(hold.attempt_id, hold.fence) for hold in holds]
        )
        & (ATTEMPTS.c.owner == owner)
        & (ATTEMPTS.c.state == _RUNNING)
    )
    await connection.execute(
        update(ATTEMPTS).where(mine).values(lease_until=after_sql(lease_seconds))
    )
    rows = await connection.execute(
        select(ATTEMPTS.c.id, ATTEMPTS.c.fence, ATTEMPTS.c.cancel_at).where(mine)
    )
    return {(row.id, row.fence): row.cancel_at is not None for row in rows}


async def held(connection: AsyncConnection, hold: Hold) -> bool:
    """Lock the attempt's row and say whether it still is the holder's."""
    row = update(ATTEMPTS).where(*_mine(hold)).values(fence=ATTEMPTS.c.fence)
    return (await connection.execute(row)).rowcount == 1


async def leave(connection: AsyncConnection, hold: Hold, outcome: Outcome) -> bool:
    """End the holder's attempt and its sandboxes' rows."""
    row = update(ATTEMPTS).where(*_mine(hold)).values(**ended(outcome))
    if (await connection.execute(row)).rowcount != 1:
        return False
    await end_sandboxes(connection, hold.attempt_id, "attempt_ended")
    return True


async def attempt_row(connection: AsyncConnection, attempt_id: str) -> RowMapping:
    """Return an attempt's row."""
    return (
        (await connection.execute(select(ATTEMPTS).where(ATTEMPTS.c.id == attempt_id)))
        .mappings()
        .one()
    )


async def open_attempt(connection: AsyncConnection, task_id: str) -> RowMapping | None:
    """Lock the attempt that is not over, and return it."""
    mine = (ATTEMPTS.c.task_id == task_id) & (ATTEMPTS.c.state != _ENDED)
    await connection.execute(update(ATTEMPTS).where(mine).values(fence=ATTEMPTS.c.fence))
    return (await connection.execute(select(ATTEMPTS).where(mine))).mappings().one_or_none()


async def ended_so(connection: AsyncConnection, hold: Hold, ending: Ending) -> bool:
    """Read back whether this holder's ending took effect already."""
    wanted = (
        select(TASKS.c.id)
        .join(ATTEMPTS, ATTEMPTS.c.task_id == TASKS.c.id)
        .where(
            ATTEMPTS.c.id == hold.attempt_id,
            ATTEMPTS.c.fence == hold.fence,
            ATTEMPTS.c.state == _ENDED,
            TASKS.c.end_fence == hold.fence,
            TASKS.c.attempt == hold.number,
            TASKS.c.status == ending.status.value,
            TASKS.c.end_reason == ending.outcome.reason.value,
        )
    )
    return (await connection.execute(wanted)).one_or_none() is not None


async def queued_so(connection: AsyncConnection, hold: Hold, new_attempt_id: str | None) -> bool:
    """Read back whether the next attempt is there, or this one queued under the holder's fence."""
    wanted = select(ATTEMPTS.c.id).where(ATTEMPTS.c.task_id == hold.task_id)
    if new_attempt_id is None:
        wanted = wanted.where(
            ATTEMPTS.c.id == hold.attempt_id,
            ATTEMPTS.c.fence == hold.fence,
            ATTEMPTS.c.state == _QUEUED,
        )
    else:
        wanted = wanted.where(ATTEMPTS.c.id == new_attempt_id)
    return (await connection.execute(wanted)).one_or_none() is not None


async def give_back(
    connection: AsyncConnection, hold: Hold, outcome: Outcome, delay_seconds: float
) -> None:
    """Queue the same attempt again."""
    values: dict[str, Any] = {
        "state": _QUEUED,
        "owner": None,
        "lease_until": None,
        "due_at": after_sql(delay_seconds),
    }
    await connection.execute(update(ATTEMPTS).where(*_mine(hold)).values(**values))
    await end_sandboxes(connection, hold.attempt_id, "given_back")
    await _requeued(connection, hold, outcome, hold.number, delay_seconds)


async def next_attempt(
    connection: AsyncConnection, hold: Hold, outcome: Outcome, attempt_id: str, delay_seconds: float
) -> None:
    """End this attempt and queue another one."""
    await leave(connection, hold, outcome)
    before = await attempt_row(connection, hold.attempt_id)
    following = Attempt(
        id=attempt_id, task_id=hold.task_id, tenant_id=hold.tenant_id, number=hold.number + 1
    )
    values = new_attempt(following) | {
        "due_at": after_sql(delay_seconds),
        "turn_at": before["turn_at"],  # it has waited its time already
        "created_at": now_sql(),
    }
    await connection.execute(insert(ATTEMPTS).values(**values))
    await _requeued(connection, hold, outcome, following.number, delay_seconds)


async def _requeued(
    connection: AsyncConnection, hold: Hold, outcome: Outcome, number: int, delay_seconds: float
) -> None:
    data = {
        "end_reason": outcome.reason.value,
        "next_attempt": number,
        "delay_seconds": delay_seconds,
    }
    await queue_again(
        connection,
        hold,
        EventType.TASK_ATTEMPT_ENDED,
        data,
        number=number,
        delay_seconds=delay_seconds,
    )


def _mine(hold: Hold) -> tuple[Any, ...]:
    return (
        ATTEMPTS.c.id == hold.attempt_id,
        ATTEMPTS.c.fence == hold.fence,
        ATTEMPTS.c.state == _RUNNING,
    )
