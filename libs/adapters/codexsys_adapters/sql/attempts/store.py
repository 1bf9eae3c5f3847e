"""The arbiter of who works on what: claims, leases, and the fenced statements of owners."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.endings import CANCELLED, end_task
from codexsys_adapters.sql.attempts.fenced import (
    attempt_row,
    ended_so,
    give_back,
    held,
    leave,
    next_attempt,
    owned,
    queued_so,
    renew,
    take_waiting,
)
from codexsys_adapters.sql.attempts.takeover import expired, take_over
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.faults import Lost
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.tables import ATTEMPTS, TASKS
from codexsys_adapters.sql.tasks.rows import to_attempt
from codexsys_core.attempt import Attempt, Beat, Claim, Ending, Hold
from codexsys_core.event import EventType
from codexsys_core.moves import Phase
from codexsys_core.outcome import Outcome
from codexsys_core.source import Base

_BEAT_ROWS = 500


class SqlAttempts:
    """`AttemptStore` in a database."""

    def __init__(self, *, database: Database, max_running: int = 0) -> None:
        self._database = database
        self._max_running = max_running

    async def claim(self, task_id: str, *, owner: str, lease_seconds: float) -> Claim | None:
        """Take the task's waiting attempt, by one conditional update."""

        async def take(connection: AsyncConnection) -> Claim | None:
            taken = await take_waiting(
                connection, task_id, owner, lease_seconds, max_running=self._max_running
            )
            return await owned(connection, task_id, owner) if taken else None

        async def take_or_find(connection: AsyncConnection) -> Claim | None:
            return await take(connection) or await owned(connection, task_id, owner)

        try:
            return await self._database.transact(take, after_loss=False)
        except Lost:
            # Only now may a row that names this owner be the one that was asked for.
            return await self._database.transact(take_or_find)

    async def beat(self, owner: str, held: Sequence[Hold], *, lease_seconds: float) -> Beat:
        """Renew exactly these holds, and tell which of them are gone or unwanted."""
        lost: set[Hold] = set()
        cancelled: set[Hold] = set()
        for start in range(0, len(held), _BEAT_ROWS):
            some = held[start : start + _BEAT_ROWS]
            found = await self._database.transact(
                partial(renew, owner=owner, holds=some, lease_seconds=lease_seconds)
            )
            told = {hold: found.get((hold.attempt_id, hold.fence)) for hold in some}
            lost |= {hold for hold, unwanted in told.items() if unwanted is None}
            cancelled |= {hold for hold, unwanted in told.items() if unwanted}
        return Beat(lost=frozenset(lost), cancelled=frozenset(cancelled))

    async def move(self, hold: Hold, phase: Phase) -> bool:
        """Set the phase, with an event when it is another one."""

        async def statements(connection: AsyncConnection) -> bool:
            if not await held(connection, hold):
                return False
            now = select(TASKS.c.phase).where(TASKS.c.id == hold.task_id)
            if (await connection.execute(now)).scalar_one() != phase.value:
                data = {"status": "running", "phase": phase.value}
                columns = {"phase": phase.value}
                await append_event(
                    connection,
                    hold.task_id,
                    EventType.TASK_PHASE,
                    data,
                    attempt=hold.number,
                    columns=columns,
                )
            return True

        return await self._database.transact(statements)

    async def set_base(self, hold: Hold, base: Base) -> Base | None:
        """Set the base once; later only where it is stored may be added to the same tree."""

        async def statements(connection: AsyncConnection) -> Base | None:
            if not await held(connection, hold):
                return None
            row = update(TASKS).where(TASKS.c.id == hold.task_id)
            text = base.model_dump_json()
            if (
                await connection.execute(row.where(TASKS.c.base.is_(None)).values(base=text))
            ).rowcount == 1:
                return base
            now = select(TASKS.c.base).where(TASKS.c.id == hold.task_id)
            standing = Base.model_validate_json((await connection.execute(now)).scalar_one())
            if (
                standing.object is None
                and standing.model_copy(update={"object": base.object}) == base
            ):
                await connection.execute(row.values(base=text))
                return base
            return standing

        return await self._database.transact(statements)

    async def end(self, hold: Hold, ending: Ending) -> bool:
        """End the attempt and with it the task."""

        async def statements(connection: AsyncConnection) -> bool:
            if not await leave(connection, hold, ending.outcome):
                return await ended_so(connection, hold, ending)
            await end_task(connection, hold, ending)
            return True

        return await self._database.transact(statements)

    async def again(
        self, hold: Hold, outcome: Outcome, *, new_attempt_id: str | None, delay_seconds: float
    ) -> bool:
        """Queue the next attempt, or the same; a task that is to be cancelled ends instead."""

        async def statements(connection: AsyncConnection) -> bool:
            if not await held(connection, hold):
                return await queued_so(connection, hold, new_attempt_id)
            row = await attempt_row(connection, hold.attempt_id)
            if row["cancel_at"] is not None:
                await leave(connection, hold, CANCELLED.outcome)
                await end_task(connection, hold, CANCELLED)
            elif new_attempt_id is None:
                await give_back(connection, hold, outcome, delay_seconds)
            else:
                await next_attempt(connection, hold, outcome, new_attempt_id, delay_seconds)
            return True

        return await self._database.transact(statements)

    async def take_over(
        self, *, grace_seconds: float, most: int, limit: int, restart_seconds: float = 0
    ) -> list[Hold]:
        """Queue what ran out, one transaction each; what was taken too often ends as `poisoned`.

        The returned holds name those that ended, too: their tasks are terminal.
        """
        rows = await self._database.look(
            lambda c: expired(c, grace_seconds, limit, restart_seconds=restart_seconds)
        )
        take = partial(
            take_over, grace_seconds=grace_seconds, restart_seconds=restart_seconds, most=most
        )
        taken = [await self._database.transact(partial(take, row=row)) for row in rows]
        return [hold for hold in taken if hold is not None]

    async def of_task(self, task_id: str, *, tenant_id: str) -> list[Attempt]:
        """Return all attempts of a task in order."""
        wanted = select(ATTEMPTS).where(
            ATTEMPTS.c.task_id == task_id, ATTEMPTS.c.tenant_id == tenant_id
        )

        async def statements(connection: AsyncConnection) -> list[Attempt]:
            rows = (await connection.execute(wanted.order_by(ATTEMPTS.c.number))).mappings()
            return [to_attempt(row) for row in rows]

        return await self._database.look(statements)
