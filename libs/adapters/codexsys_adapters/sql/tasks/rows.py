"""Rows of tasks and attempts to nouns and back."""

import json
from typing import Any

from sqlalchemy import RowMapping, Select, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.tables import TASKS, WALLETS
from codexsys_adapters.sql.times import aware, naive
from codexsys_core.attempt import Attempt
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound
from codexsys_core.moves import AttemptState
from codexsys_core.outcome import Outcome
from codexsys_core.source import Base, GitSource, Source, TaskSource
from codexsys_core.task import DiffStat, Task, TaskSpec, Usage
from codexsys_core.verdict import Evidence

_USAGE = ("calls", "input_tokens", "output_tokens", "cached_tokens", "micros")


def task_values(task: Task) -> dict[str, Any]:
    """Return the columns of a new task; `queue_until` is the statement's to add."""
    source = task.spec.source
    return {
        "id": task.id,
        "tenant_id": task.tenant_id,
        "created_by": task.created_by,
        "retry_of": task.retry_of,
        "spec": task.spec.model_dump_json(),
        "source_url": source.url if isinstance(source, GitSource) else None,
        "status": task.status.value,
        "attempt": task.attempt,
        "seq": 1,
        "created_at": naive(task.created_at),
    }


def tasks_with_usage() -> Select[Any]:
    """Select whole tasks, each with what its wallet has spent."""
    spent = [WALLETS.c[name].label(f"wallet_{name}") for name in _USAGE]
    return select(TASKS, *spent).outerjoin(WALLETS, WALLETS.c.task_id == TASKS.c.id)


def _glances() -> Select[Any]:
    """Select what tells one look of a task from another: `seq` grows with events, usage without them."""
    looks = (TASKS.c.id, TASKS.c.tenant_id, TASKS.c.status, TASKS.c.seq, TASKS.c.deleted_at)
    spent = (WALLETS.c[name] for name in _USAGE)
    return select(*looks, *spent).outerjoin(WALLETS, WALLETS.c.task_id == TASKS.c.id)


GLANCES = _glances()
_ONE = tasks_with_usage().where(TASKS.c.id == bindparam("wanted_task"))


async def read_task(
    connection: AsyncConnection, task_id: str, *, tenant_id: str | None = None
) -> Task:
    """Return one task; another tenant's is not found."""
    row = (await connection.execute(_ONE, {"wanted_task": task_id})).mappings().one_or_none()
    if row is None or tenant_id not in (None, row["tenant_id"]):
        raise no_such_task()
    return to_task(row)


def no_such_task() -> NotFound:
    """Return what to raise where a task is not, or is another tenant's."""
    return NotFound("There is no such task.", code="task_not_found")


def to_task(row: RowMapping) -> Task:
    """Return the noun of a row of `tasks_with_usage`."""
    return Task(
        id=row["id"],
        tenant_id=row["tenant_id"],
        created_by=row["created_by"],
        spec=TaskSpec.model_validate_json(row["spec"]),
        status=row["status"],
        phase=row["phase"],
        attempt=row["attempt"],
        verdict=row["verdict"],
        evidence=Evidence.model_validate_json(row["evidence"]) if row["evidence"] else None,
        end=_outcome(row),
        base=Base.model_validate_json(row["base"]) if row["base"] else None,
        plan=json.loads(row["plan"]) if row["plan"] else [],
        diff=DiffStat.model_validate_json(row["diff"]) if row["diff"] else None,
        usage=_usage(row),
        retry_of=row["retry_of"],
        created_at=aware(row["created_at"]),
        started_at=aware(row["started_at"]),
        finished_at=aware(row["finished_at"]),
        deleted_at=aware(row["deleted_at"]),
        asked=row["asked"],
        seq=row["seq"],
    )


def to_attempt(row: RowMapping) -> Attempt:
    """Return the noun of an attempt's row."""
    return Attempt(
        id=row["id"],
        task_id=row["task_id"],
        tenant_id=row["tenant_id"],
        number=row["number"],
        state=row["state"],
        owner=row["owner"],
        fence=row["fence"],
        takeovers=row["takeovers"],
        due_at=aware(row["due_at"]),
        lease_until=aware(row["lease_until"]),
        cancel_at=aware(row["cancel_at"]),
        started_at=aware(row["started_at"]),
        ended_at=aware(row["ended_at"]),
        end=_outcome(row),
    )


def new_attempt(attempt: Attempt) -> dict[str, Any]:
    """Return the columns of an attempt that waits; its times are the statement's to add."""
    return {
        "id": attempt.id,
        "task_id": attempt.task_id,
        "tenant_id": attempt.tenant_id,
        "number": attempt.number,
        "state": AttemptState.QUEUED.value,
        "fence": 0,
        "takeovers": 0,
    }


def announced_source(source: Source) -> dict[str, Any]:
    """Return what a record on the queue says of the source."""
    if isinstance(source, GitSource):
        return {"git": {"url": source.url, "ref": source.ref}}
    if isinstance(source, TaskSource):
        return {"task": source.task_id}
    return {"object": source.object}


def _outcome(row: RowMapping) -> Outcome | None:
    if row["end_reason"] is None:
        return None
    return Outcome(reason=EndReason(row["end_reason"]), detail=row["end_detail"] or "")


def _usage(row: RowMapping) -> Usage:
    if row["wallet_calls"] is None:
        return Usage()
    return Usage(
        calls=row["wallet_calls"],
        input_tokens=row["wallet_input_tokens"],
        output_tokens=row["wallet_output_tokens"],
        cached_tokens=row["wallet_cached_tokens"],
        cost_usd=row["wallet_micros"] / 1_000_000,
    )
