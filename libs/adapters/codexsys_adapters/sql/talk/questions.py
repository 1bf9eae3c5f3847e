"""Questions of tasks: asked with the suspension, answered with the return to the queue."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import RowMapping, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.endings import (
    CANCELLED,
    end_sandboxes,
    end_task,
    ended,
    queue_again,
)
from codexsys_adapters.sql.attempts.fenced import attempt_row, held, hold_of, leave, open_attempt
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.tables import ATTEMPTS, QUESTIONS, TASKS
from codexsys_adapters.sql.tasks.rows import read_task
from codexsys_adapters.sql.tenants.idempotency import once
from codexsys_adapters.sql.times import after_sql, aware, now_sql
from codexsys_core.attempt import Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.question import Question

_ENDED, _SUSPENDED = AttemptState.ENDED.value, AttemptState.SUSPENDED.value
_UNANSWERED = Ending(status=TaskStatus.TIMED_OUT, outcome=Outcome(reason=EndReason.ANSWER_TIMEOUT))


class SqlQuestions:
    """A `QuestionStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def suspend(
        self, hold: Hold, questions: Sequence[Question], *, answer_seconds: float
    ) -> TaskStatus | None:
        """Ask and suspend, in one transaction that holds the attempt's row."""

        async def statements(connection: AsyncConnection) -> TaskStatus | None:
            if not await held(connection, hold):
                return await _suspended_so(connection, hold)
            row = await attempt_row(connection, hold.attempt_id)
            if row["cancel_at"] is not None:
                await leave(connection, hold, CANCELLED.outcome)
                await end_task(connection, hold, CANCELLED)
                return TaskStatus.CANCELLED
            for question in questions:
                await _ask(connection, hold, question, answer_seconds)
            return await _wait(connection, hold)

        return await self._database.transact(statements)

    async def answer(
        self,
        task_id: str,
        question_id: str,
        answer: str,
        *,
        tenant_id: str,
        key_id: str,
        idempotency: Idempotency | None = None,
    ) -> Question:
        """Answer, and queue the attempt if it waited for nothing else."""

        async def statements(connection: AsyncConnection) -> None:
            await read_task(connection, task_id, tenant_id=tenant_id)
            attempt = await open_attempt(connection, task_id)
            found = await _question(connection, task_id, question_id)
            if found["answered_at"] is not None:
                if (found["answer"], found["answered_by"]) != (answer, key_id):
                    raise Conflict(
                        "This question has been answered already.", code="already_answered"
                    )
                return
            if attempt is None:
                raise Conflict("This task is over; nobody waits for the answer.", code="task_over")
            await _answer(connection, attempt, question_id, answer, key_id)

        async def look(connection: AsyncConnection) -> Question:
            await read_task(connection, task_id, tenant_id=tenant_id)
            return _noun(await _question(connection, task_id, question_id))

        await once(self._database, tenant_id, question_id, idempotency, statements)
        return await self._database.look(look)

    async def of_tasks(self, task_ids: list[str]) -> dict[str, list[Question]]:
        """Return all questions of these tasks, each task's in order."""
        wanted = select(QUESTIONS).where(QUESTIONS.c.task_id.in_(task_ids))

        async def statements(connection: AsyncConnection) -> dict[str, list[Question]]:
            found: dict[str, list[Question]] = {}
            rows = await connection.execute(wanted.order_by(QUESTIONS.c.asked_at, QUESTIONS.c.id))
            for row in rows.mappings():
                found.setdefault(row["task_id"], []).append(_noun(row))
            return found

        return await self._database.look(statements) if task_ids else {}

    async def overdue(self, *, limit: int) -> int:
        """See to each in a transaction of its own; an answer that comes first wins."""
        late = (
            select(QUESTIONS.c.id, QUESTIONS.c.task_id)
            .join(ATTEMPTS, ATTEMPTS.c.id == QUESTIONS.c.attempt_id)
            .where(*_late(), ATTEMPTS.c.state != _ENDED)
            .order_by(QUESTIONS.c.deadline)
            .limit(limit)
        )

        async def look(connection: AsyncConnection) -> list[Any]:
            return list((await connection.execute(late)).all())

        rows = await self._database.look(look)
        return sum(
            [
                await self._database.transact(
                    partial(_give_up, task_id=row.task_id, question_id=row.id)
                )
                for row in rows
            ]
        )


async def _ask(
    connection: AsyncConnection, hold: Hold, question: Question, answer_seconds: float
) -> None:
    answered = question.answer is not None
    row = {
        "id": question.id,
        "task_id": hold.task_id,
        "attempt_id": hold.attempt_id,
        "text": question.text,
        "options": json.dumps(question.options),
        "default_answer": question.default,
        "answer": question.answer,
        "asked_at": now_sql(),
        "answered_at": now_sql() if answered else None,
        "deadline": after_sql(answer_seconds),
    }
    await connection.execute(insert(QUESTIONS).values(**row))
    await append_event(
        connection,
        hold.task_id,
        EventType.TASK_QUESTION,
        {"question": question.id},
        attempt=hold.number,
        columns={"asked": TASKS.c.asked + 1},
    )


async def _wait(connection: AsyncConnection, hold: Hold) -> TaskStatus:
    """Suspend while a question is open; else back to the queue."""
    some_open = exists(
        select(QUESTIONS.c.id).where(
            QUESTIONS.c.task_id == hold.task_id, QUESTIONS.c.answered_at.is_(None)
        )
    )
    mine = (ATTEMPTS.c.id == hold.attempt_id, ATTEMPTS.c.fence == hold.fence)
    free = {"owner": None, "lease_until": None}
    waits = update(ATTEMPTS).where(*mine, some_open).values(state=_SUSPENDED, **free)
    suspended = (await connection.execute(waits)).rowcount == 1
    await end_sandboxes(connection, hold.attempt_id, "suspended")
    if not suspended:
        await connection.execute(update(ATTEMPTS).where(*mine).values(**_queued(), **free))
        await queue_again(connection, hold, EventType.TASK_ANSWERED, {}, number=hold.number)
        return TaskStatus.QUEUED
    await append_event(
        connection,
        hold.task_id,
        EventType.TASK_SUSPENDED,
        {"status": TaskStatus.SUSPENDED.value},
        attempt=hold.number,
        columns={"status": TaskStatus.SUSPENDED.value, "phase": None},
    )
    return TaskStatus.SUSPENDED


async def _suspended_so(connection: AsyncConnection, hold: Hold) -> TaskStatus | None:
    """Read back whether this holder's suspension took effect already."""
    row = await attempt_row(connection, hold.attempt_id)
    if row["fence"] != hold.fence or row["owner"] is not None or row["state"] == _ENDED:
        return None
    return TaskStatus.SUSPENDED if row["state"] == _SUSPENDED else TaskStatus.QUEUED


async def _question(connection: AsyncConnection, task_id: str, question_id: str) -> RowMapping:
    wanted = select(QUESTIONS).where(QUESTIONS.c.id == question_id, QUESTIONS.c.task_id == task_id)
    row = (await connection.execute(wanted)).mappings().one_or_none()
    if row is None:
        raise NotFound("This task has no such question.", code="question_not_found")
    return row


async def _answer(
    connection: AsyncConnection,
    attempt: RowMapping,
    question_id: str,
    answer: str,
    key_id: str | None,
) -> None:
    told = {"answer": answer, "answered_at": now_sql(), "answered_by": key_id}
    await connection.execute(update(QUESTIONS).where(QUESTIONS.c.id == question_id).values(**told))
    hold, data = hold_of(attempt), {"question": question_id}
    still = select(QUESTIONS.c.id).where(
        QUESTIONS.c.task_id == hold.task_id, QUESTIONS.c.answered_at.is_(None)
    )
    waits = (await connection.execute(still.limit(1))).one_or_none() is not None
    if attempt["state"] != _SUSPENDED or waits:
        await append_event(
            connection, hold.task_id, EventType.TASK_ANSWERED, data, attempt=hold.number
        )
        return
    await connection.execute(
        update(ATTEMPTS).where(ATTEMPTS.c.id == hold.attempt_id).values(**_queued())
    )
    await queue_again(connection, hold, EventType.TASK_ANSWERED, data, number=hold.number)


async def _give_up(connection: AsyncConnection, *, task_id: str, question_id: str) -> bool:
    attempt = await open_attempt(connection, task_id)
    if attempt is None:
        return False
    late = select(QUESTIONS).where(QUESTIONS.c.id == question_id, *_late())
    row = (await connection.execute(late)).mappings().one_or_none()
    if row is None:
        return False
    if row["default_answer"] is not None:
        await _answer(connection, attempt, question_id, row["default_answer"], None)
    elif attempt["state"] == _SUSPENDED:
        hold = hold_of(attempt)
        mine = update(ATTEMPTS).where(ATTEMPTS.c.id == hold.attempt_id)
        await connection.execute(mine.values(**ended(_UNANSWERED.outcome)))
        await end_task(connection, hold, _UNANSWERED)
    else:
        return False
    return True


def _late() -> tuple[Any, ...]:
    return (QUESTIONS.c.answered_at.is_(None), QUESTIONS.c.deadline < now_sql())


def _queued() -> dict[str, Any]:
    return {"state": AttemptState.QUEUED.value, "due_at": now_sql()}


def _noun(row: RowMapping) -> Question:
    return Question(
        id=row["id"],
        task_id=row["task_id"],
        text=row["text"],
        options=json.loads(row["options"]),
        default=row["default_answer"],
        deadline=aware(row["deadline"]),
        answer=row["answer"],
        answered_by=row["answered_by"],
    )
