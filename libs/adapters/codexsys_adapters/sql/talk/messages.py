"""Notes to agents: numbered under the lock of the attempt that is to hear them."""

from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.fenced import open_attempt
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.tables import MESSAGES
from codexsys_adapters.sql.tasks.rows import read_task
from codexsys_adapters.sql.tenants.idempotency import once
from codexsys_adapters.sql.times import aware, naive, now_sql
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.message import MOST_MESSAGES, Message


class SqlMessages:
    """A `MessageStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(
        self, message: Message, *, tenant_id: str, idempotency: Idempotency | None = None
    ) -> Message:
        """Store it and tell of it, in one transaction."""

        async def statements(connection: AsyncConnection) -> None:
            await _add(connection, message, tenant_id)

        made = await once(self._database, tenant_id, message.id, idempotency, statements)
        row = select(MESSAGES).where(MESSAGES.c.id == made)

        async def look(connection: AsyncConnection) -> Message:
            found = (await connection.execute(row)).mappings().one_or_none()
            if found is None:
                raise NotFound("This message was removed with its task.", code="task_not_found")
            return _noun(found)

        return await self._database.look(look)

    async def of_task(self, task_id: str, *, after: int = 0) -> list[Message]:
        """Return those with a greater number."""
        wanted = (
            select(MESSAGES)
            .where(MESSAGES.c.task_id == task_id, MESSAGES.c.number > after)
            .order_by(MESSAGES.c.number)
        )

        async def statements(connection: AsyncConnection) -> list[Message]:
            return [_noun(row) for row in (await connection.execute(wanted)).mappings()]

        return await self._database.look(statements)

    async def delivered(self, task_id: str, message_id: str) -> None:
        """Set the time, once."""
        row = MESSAGES.c
        mine = (row.id == message_id, row.task_id == task_id, row.delivered_at.is_(None))

        async def statements(connection: AsyncConnection) -> None:
            await connection.execute(update(MESSAGES).where(*mine).values(delivered_at=now_sql()))

        await self._database.transact(statements)


async def _add(connection: AsyncConnection, message: Message, tenant_id: str) -> None:
    task = await read_task(connection, message.task_id, tenant_id=tenant_id)
    if task.spec.engine != "builtin":
        raise Conflict(
            f"The engine {task.spec.engine} reads no messages.", code="messages_not_read"
        )
    attempt = await open_attempt(connection, message.task_id)
    if attempt is None or attempt["cancel_at"] is not None:
        raise Conflict("This task is over; nobody reads the message.", code="task_over")
    last = select(func.max(MESSAGES.c.number)).where(MESSAGES.c.task_id == message.task_id)
    number = int(await connection.scalar(last) or 0) + 1
    if number > MOST_MESSAGES:
        raise Conflict(f"A task takes {MOST_MESSAGES} messages, and has.", code="messages_full")
    await connection.execute(insert(MESSAGES).values(**_values(message, number)))
    data = {"message": message.id}
    kind = EventType.TASK_MESSAGE
    await append_event(connection, message.task_id, kind, data, attempt=attempt["number"])


def _values(message: Message, number: int) -> dict[str, Any]:
    values = message.model_dump(exclude={"delivered_at"})
    return values | {"created_at": naive(message.created_at), "number": number}


def _noun(row: RowMapping) -> Message:
    times = {name: aware(row[name]) for name in ("created_at", "delivered_at")}
    return Message.model_validate({**row, **times})
