"""Events in the transaction that makes them happen, numbered by the task's row."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.tables import EVENTS, TASKS
from codexsys_adapters.sql.times import now_sql
from codexsys_core.event import EventType


async def append_event(
    connection: AsyncConnection,
    task_id: str,
    kind: EventType,
    data: dict[str, Any],
    *,
    attempt: int,
    sender: tuple[str, int] | None = None,
    columns: Mapping[str, Any] = MappingProxyType({}),
    while_open: bool = False,
) -> int:
    """Add an event and return its number; `columns` are set on the task's row with it.

    Raising the counter locks the task's row until the transaction ends, so that numbers have
    neither gap nor repeat. Returns 0 when there is no such task, or, `while_open`, when it is over.
    """
    # In this order: MySQL assigns from left to right, so that `seq` in other columns is the old one.
    assigned = [(TASKS.c[name], value) for name, value in columns.items()]
    raised = update(TASKS).where(TASKS.c.id == task_id)
    if while_open:
        raised = raised.where(TASKS.c.finished_at.is_(None))
    raised = raised.ordered_values(*assigned, (TASKS.c.seq, TASKS.c.seq + 1))
    if (await connection.execute(raised)).rowcount != 1:
        return 0
    seq = int(
        (await connection.execute(select(TASKS.c.seq).where(TASKS.c.id == task_id))).scalar_one()
    )
    sandbox_id, number = sender or (None, None)
    await connection.execute(
        insert(EVENTS).values(
            task_id=task_id,
            seq=seq,
            type=kind.value,
            attempt=attempt,
            at=now_sql(),
            data=json.dumps(data, separators=(",", ":")),
            sandbox_id=sandbox_id,
            number=number,
        )
    )
    return seq
