"""Events in the transaction that makes them happen, numbered by the task's row."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlalchemy import Update, bindparam, insert, select, update
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
    usual = _RAISE_WHILE_OPEN if while_open else _RAISE
    raised = _raising(columns, while_open=while_open) if columns else usual
    wanted = {"wanted": task_id}
    if (await connection.execute(raised, wanted)).rowcount != 1:
        return 0
    seq = int((await connection.execute(_SEQ, wanted)).scalar_one())
    sandbox_id, number = sender or (None, None)
    values = {
        "task_id": task_id,
        "seq": seq,
        "type": kind.value,
        "attempt": attempt,
        "data": json.dumps(data, separators=(",", ":")),
        "sandbox_id": sandbox_id,
        "number": number,
    }
    await connection.execute(_ADD, values)
    return seq


def _raising(columns: Mapping[str, Any], *, while_open: bool) -> Update:
    # In this order: MySQL assigns from left to right, so that `seq` in other columns is the old one.
    assigned = [(TASKS.c[name], value) for name, value in columns.items()]
    raised = update(TASKS).where(TASKS.c.id == bindparam("wanted"))
    if while_open:
        raised = raised.where(TASKS.c.finished_at.is_(None))
    return raised.ordered_values(*assigned, (TASKS.c.seq, TASKS.c.seq + 1))


# Built once: SQLAlchemy takes longer to build a statement than to run it.
_RAISE, _RAISE_WHILE_OPEN = (_raising({}, while_open=each) for each in (False, True))
_SEQ = select(TASKS.c.seq).where(TASKS.c.id == bindparam("wanted"))
_ADD = insert(EVENTS).values(at=now_sql())
