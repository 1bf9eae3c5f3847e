"""Lists of a tenant's tasks, and how many there are of each status."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    bindparam,
    false,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from codexsys_adapters.sql.tables import LABELS, TASKS
from codexsys_adapters.sql.tasks.rows import tasks_with_usage
from codexsys_adapters.sql.times import naive
from codexsys_core.moves import TaskStatus
from codexsys_core.task import SEARCHED, TaskQuery


class prompt_of(FunctionElement[str]):  # noqa: N801 - it reads as a function
    """What a task's `spec` says is to be done; each dialect reads JSON in its own way."""

    type = String()
    inherit_cache = True


@compiles(prompt_of)
def _prompt(element: prompt_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"JSON_EXTRACT({compiler.process(element.clauses, **options)}, '$.prompt')"


@compiles(prompt_of, "mysql")
@compiles(prompt_of, "mariadb")
def _unquoted_prompt(element: prompt_of, compiler: SQLCompiler, **options: Any) -> str:
    return f"JSON_UNQUOTE({_prompt(element, compiler, **options)})"


def listed(query: TaskQuery) -> Select[Any]:
    """Select a tenant's tasks, newest first."""
    wanted = tasks_with_usage().where(TASKS.c.tenant_id == query.tenant_id, *_filters(query))
    if query.label is not None:
        name, value = query.label
        wanted = wanted.join(LABELS, LABELS.c.task_id == TASKS.c.id).where(
            LABELS.c.tenant_id == query.tenant_id,
            LABELS.c.name == name,
            LABELS.c.value == value,
        )
    return wanted.order_by(TASKS.c.id.desc()).limit(query.limit)


def _filters(query: TaskQuery) -> Sequence[ColumnElement[bool]]:
    columns, found = TASKS.c, list[ColumnElement[bool]]()
    if query.status is not None:
        found.append(columns.status == query.status.value)
    if query.verdict is not None:
        found.append(columns.verdict == query.verdict.value)
    if query.source_url is not None:
        found.append(columns.source_url == query.source_url)
    if query.created_after is not None:
        found.append(columns.created_at > naive(query.created_after))
    if query.before is not None:
        found.append(columns.id < query.before)
    if query.through is not None:
        found.append(columns.id <= query.through)
    if query.after is not None:
        found.append(columns.id > query.after)
    if query.words is not None:
        found += _with_words(query.tenant_id, query.words.lower())
    return found


def _with_words(tenant_id: str, words: str) -> Sequence[ColumnElement[bool]]:
    """Look among the newest tasks only: what a search reads is bounded, however many there are."""
    if "\0" in words:  # SQLite would read up to there, and no task has one
        return (false(),)
    oldest = (
        select(TASKS.c.id)
        .where(TASKS.c.tenant_id == tenant_id)
        .order_by(TASKS.c.id.desc())
        .limit(1)
        .offset(SEARCHED - 1)
        .scalar_subquery()
    )
    said: list[ColumnElement[str]] = [
        func.lower(prompt_of(TASKS.c.spec)),
        func.lower(TASKS.c.source_url),
    ]
    if words.isascii():  # no id has others, and MySQL compares its column with no others
        said.append(TASKS.c.id)
    return (
        TASKS.c.id >= func.coalesce(oldest, ""),
        or_(*(each.contains(words, autoescape=True) for each in said)),
    )


def counted() -> Select[Any]:
    """Count a tenant's tasks by status, of each up to `most`: an index has them in this order."""
    each = [
        select(literal(status.value).label("status"), func.count().label("tasks")).select_from(
            select(TASKS.c.id)
            .where(TASKS.c.tenant_id == bindparam("wanted_tenant"), TASKS.c.status == status.value)
            .limit(bindparam("most"))
            .subquery(f"of_{status.value}")
        )
        for status in TaskStatus
    ]
    found = union_all(*each).subquery("counts")
    return select(found.c.status, found.c.tasks)
