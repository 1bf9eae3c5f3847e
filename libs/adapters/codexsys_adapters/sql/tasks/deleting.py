"""Deletes all that a terminal task says and holds; its row stays, with its status."""

from sqlalchemy import and_, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.retention import remove_rows
from codexsys_adapters.sql.tables import ATTEMPTS, EVENTS, MESSAGES, QUESTIONS, SHARES, TASKS
from codexsys_adapters.sql.tasks.needs import needed
from codexsys_adapters.sql.tasks.rows import read_task
from codexsys_adapters.sql.times import now_sql
from codexsys_core.environment import Environment
from codexsys_core.errors import Conflict
from codexsys_core.moves import TaskStatus
from codexsys_core.task import Requirements, Task, TaskSpec

_OVER = [status.value for status in TaskStatus if status.terminal]


async def delete_task(connection: AsyncConnection, task_id: str, tenant_id: str) -> Task:
    """Do it once, and the same again; `NotFound`, or `Conflict` while it is not over or is needed."""
    task = await read_task(connection, task_id, tenant_id=tenant_id)
    mine = and_(TASKS.c.id == task_id, TASKS.c.status.in_(_OVER))
    blank = {
        "spec": _emptied(task.spec).model_dump_json(),
        "plan": None,
        "evidence": None,
        "end_detail": "",
        "deleted_at": func.coalesce(TASKS.c.deleted_at, now_sql()),
    }
    if (await connection.execute(update(TASKS).where(mine).values(**blank))).rowcount != 1:
        raise Conflict("This task is not over yet; cancel it first.", code="task_not_over")
    if await connection.scalar(select(TASKS.c.id).where(TASKS.c.id == task_id, needed(TASKS.c.id))):
        raise Conflict(
            "A task that is not over carries on from this one; cancel that first.",
            code="task_in_use",
        )
    said = and_(EVENTS.c.task_id == task_id, EVENTS.c.type.not_like("task.%"))
    await connection.execute(update(EVENTS).where(said).values(data="{}"))
    await connection.execute(
        update(ATTEMPTS).where(ATTEMPTS.c.task_id == task_id).values(end_detail="")
    )
    shown = and_(SHARES.c.task_id == task_id, SHARES.c.revoked_at.is_(None))
    await connection.execute(update(SHARES).where(shown).values(revoked_at=now_sql()))
    await connection.execute(delete(QUESTIONS).where(QUESTIONS.c.task_id == task_id))
    await connection.execute(delete(MESSAGES).where(MESSAGES.c.task_id == task_id))
    await remove_rows(connection, task_id)
    return await read_task(connection, task_id, tenant_id=tenant_id)


def _emptied(spec: TaskSpec) -> TaskSpec:
    blank = {
        "prompt": "",
        "command": None,
        "requirements": Requirements(),
        "environment": Environment(),
    }
    return spec.model_copy(update=blank)
