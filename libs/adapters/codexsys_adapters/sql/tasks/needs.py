"""Which tasks need what others keep: a retry the work it carries on, a task the source it stands on."""

from typing import Any

from sqlalchemy import ColumnElement, exists, insert, literal, select, union
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.tables import NEEDS, TASKS
from codexsys_core.moves import TaskStatus
from codexsys_core.retention import UPLOADED
from codexsys_core.source import TaskSource, ZipSource
from codexsys_core.task import Task

_OPEN = [status.value for status in TaskStatus if not status.terminal]


async def note_needs(connection: AsyncConnection, task: Task) -> None:
    """Write down what a new task needs, and what those need in turn."""
    needs = needs_of(task)
    if not needs:
        return
    own = NEEDS.c
    further = select(literal(task.id).label("task_id"), own.needed_id).where(own.task_id.in_(needs))
    direct = [select(literal(task.id).label("task_id"), literal(each)) for each in sorted(needs)]
    rows = union(*direct, further)
    await connection.execute(insert(NEEDS).from_select(["task_id", "needed_id"], rows))


def needed(task_id: Any) -> ColumnElement[bool]:
    """Return the condition that some task which is not over needs this one."""
    other = TASKS.alias("needing")
    rows = select(NEEDS.c.task_id).join(other, other.c.id == NEEDS.c.task_id)
    return exists(rows.where(NEEDS.c.needed_id == task_id, other.c.status.in_(_OPEN)))


def needs_of(task: Task) -> set[str]:
    """Return the ids of the tasks that a new one needs at once."""
    source = task.spec.source
    found = {task.retry_of} if task.retry_of else set()
    if isinstance(source, TaskSource):
        found.add(source.task_id)
    if isinstance(source, ZipSource) and source.object.startswith(UPLOADED):
        found.add(source.object.removeprefix(UPLOADED).partition("/")[0])
    return found - {task.id}
