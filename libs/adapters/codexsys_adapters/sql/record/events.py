"""Events of tasks, each sender's taken once."""

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.fenced import held
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.record.happenings import Happening, Happenings
from codexsys_adapters.sql.tables import EVENTS, TASKS
from codexsys_adapters.sql.times import aware
from codexsys_core.attempt import Hold
from codexsys_core.errors import NotFound
from codexsys_core.event import Event, EventType


class SqlEvents:
    """An `EventStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._happenings = Happenings(database)

    async def append(
        self,
        task_id: str,
        kind: EventType,
        data: dict[str, Any],
        *,
        attempt: int,
        sender: tuple[str, int] | None = None,
        hold: Hold | None = None,
    ) -> int:
        """Add an event to an open task; `NotFound` when there is no such task."""
        columns = _shown(kind, data)
        if not (sender or hold or columns):
            text = json.dumps(data, separators=(",", ":"))
            return await self._happenings.add(Happening(task_id, kind.value, attempt, text))

        async def statements(connection: AsyncConnection) -> int | None:
            if hold and not await held(connection, hold):
                return 0
            if sender and (known := await _known(connection, task_id, sender)):
                return known
            number = await append_event(
                connection,
                task_id,
                kind,
                data,
                attempt=attempt,
                sender=sender,
                columns=columns,
                while_open=True,
            )
            there = select(TASKS.c.id).where(TASKS.c.id == task_id)
            return number if number or await connection.scalar(there) else None

        number = await self._database.transact(statements)
        if number is None:
            raise NotFound("There is no such task.")
        return number

    async def after(
        self,
        task_id: str,
        after: int,
        *,
        limit: int = 500,
        kinds: Collection[EventType] | None = None,
    ) -> list[Event]:
        """Return events with a greater number, in order."""
        columns = (
            EVENTS.c.seq,
            EVENTS.c.task_id,
            EVENTS.c.type,
            EVENTS.c.at,
            EVENTS.c.attempt,
            EVENTS.c.data,
        )
        statement = (
            select(*columns)
            .where(EVENTS.c.task_id == task_id, EVENTS.c.seq > after)
            .order_by(EVENTS.c.seq)
            .limit(limit)
        )
        if kinds is not None:
            statement = statement.where(EVENTS.c.type.in_(sorted(kinds)))

        async def statements(connection: AsyncConnection) -> list[Event]:
            return [
                Event(
                    id=row.seq,
                    task_id=row.task_id,
                    type=row.type,
                    at=aware(row.at),
                    attempt=row.attempt,
                    data=json.loads(row.data),
                )
                for row in await connection.execute(statement)
            ]

        return await self._database.look(statements)


def _shown(kind: EventType, data: dict[str, Any]) -> dict[str, Any]:
    """Return what of an event the task itself shows."""
    return {"plan": json.dumps(data.get("steps", []))} if kind is EventType.AGENT_PLAN else {}


async def _known(connection: AsyncConnection, task_id: str, sender: tuple[str, int]) -> int | None:
    # With the task's row locked, a copy of the same event is either here already or comes later.
    await connection.execute(select(TASKS.c.id).where(TASKS.c.id == task_id).with_for_update())
    sandbox_id, number = sender
    known = select(EVENTS.c.seq).where(EVENTS.c.sandbox_id == sandbox_id, EVENTS.c.number == number)
    return await connection.scalar(known)
