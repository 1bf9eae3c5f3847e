"""The one way in which attempts and tasks end, within a transaction that has matched the attempt's row."""

from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.tables import ARTIFACTS, LOG_STREAMS, SANDBOXES, TASKS
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.attempt import Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.event import EventType
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.task import TaskSpec

CANCELLED = Ending(status=TaskStatus.CANCELLED, outcome=Outcome(reason=EndReason.CANCELLED))
QUEUE_TIMEOUT = Ending(status=TaskStatus.TIMED_OUT, outcome=Outcome(reason=EndReason.QUEUE_TIMEOUT))


def ended(outcome: Outcome) -> dict[str, Any]:
    """Return the columns of an attempt that is over."""
    return {
        "state": AttemptState.ENDED.value,
        "ended_at": now_sql(),
        "lease_until": None,
        "end_reason": outcome.reason.value,
        "end_detail": outcome.detail,
    }


async def end_sandboxes(
    connection: AsyncConnection, attempt_id: str, reason: str, *, but: str = ""
) -> None:
    """End the sandbox rows of an attempt, all but one: their tokens are dead with this transaction."""
    live = update(SANDBOXES).where(
        SANDBOXES.c.attempt_id == attempt_id, SANDBOXES.c.state != "ended", SANDBOXES.c.id != but
    )
    await connection.execute(live.values(state="ended", ended_at=now_sql(), end_reason=reason))


async def end_task(connection: AsyncConnection, hold: Hold, ending: Ending) -> None:
    """Make the task terminal, with its artifacts, its last event and its result due."""
    if ending.artifacts:
        rows = [{"task_id": hold.task_id, **artifact.model_dump()} for artifact in ending.artifacts]
        await connection.execute(insert(ARTIFACTS), rows)
    data = {
        "status": ending.status.value,
        "verdict": ending.verdict.value if ending.verdict else None,
        "end_reason": ending.outcome.reason.value,
    }
    await append_event(
        connection,
        hold.task_id,
        EventType(f"task.{ending.status.value}"),
        data,
        attempt=hold.number,
        columns={
            **data,
            "phase": None,
            "evidence": ending.evidence.model_dump_json() if ending.evidence else None,
            "diff": ending.diff.model_dump_json() if ending.diff else None,
            "end_detail": ending.outcome.detail,
            "end_fence": hold.fence,
            "end_seq": TASKS.c.seq + 1,
            "finished_at": now_sql(),
            "result_due_at": now_sql(),
        },
    )


async def queue_again(
    connection: AsyncConnection,
    hold: Hold,
    kind: EventType,
    data: dict[str, Any],
    *,
    number: int,
    delay_seconds: float = 0,
) -> None:
    """Put the task back to queued for its attempt `number`, with its whole time to wait."""
    spec = await connection.execute(select(TASKS.c.spec).where(TASKS.c.id == hold.task_id))
    patience = TaskSpec.model_validate_json(spec.scalar_one()).limits.queue_seconds
    await append_event(
        connection,
        hold.task_id,
        kind,
        {"status": TaskStatus.QUEUED.value, **data},
        attempt=hold.number,
        columns={
            "status": TaskStatus.QUEUED.value,
            "phase": None,
            "attempt": number,
            "queue_until": after_sql(patience + delay_seconds),
        },
    )
    await open_streams(connection, hold.task_id)


async def open_streams(connection: AsyncConnection, task_id: str) -> None:
    """Open the task's logs: an owner that sealed them did not come to its end, the next one writes on."""
    streams = update(LOG_STREAMS).where(LOG_STREAMS.c.task_id == task_id)
    await connection.execute(streams.values(sealed_at=None))
