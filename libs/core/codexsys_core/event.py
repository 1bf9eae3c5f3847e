"""What happened to a task, numbered without a gap."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.attempt import Hold


class EventType(StrEnum):
    """The closed list."""

    TASK_QUEUED = "task.queued"
    TASK_RUNNING = "task.running"
    TASK_PHASE = "task.phase"
    TASK_CANCELLING = "task.cancelling"
    TASK_ATTEMPT_ENDED = "task.attempt_ended"
    TASK_TAKEN_OVER = "task.taken_over"
    TASK_PREFLIGHT = "task.preflight"
    TASK_QUESTION = "task.question"
    TASK_MESSAGE = "task.message"
    TASK_SUSPENDED = "task.suspended"
    TASK_ANSWERED = "task.answered"
    TASK_SUCCEEDED = "task.succeeded"
    TASK_FAILED = "task.failed"
    TASK_CANCELLED = "task.cancelled"
    TASK_TIMED_OUT = "task.timed_out"
    AGENT_STEP = "agent.step"
    AGENT_TOOL = "agent.tool"
    AGENT_PLAN = "agent.plan"
    AGENT_MESSAGE = "agent.message"
    AGENT_NOTE = "agent.note"
    AGENT_FINISHED = "agent.finished"
    MODEL_CALL = "model.call"
    CHECKPOINT = "task.checkpoint"
    VERIFY_RESULT = "verify.result"


MOVES = frozenset(
    {
        EventType.TASK_PHASE,
        EventType.TASK_TAKEN_OVER,
        EventType.TASK_ATTEMPT_ENDED,
        EventType.TASK_SUSPENDED,
        EventType.TASK_SUCCEEDED,
        EventType.TASK_FAILED,
        EventType.TASK_CANCELLED,
        EventType.TASK_TIMED_OUT,
    }
)
"""What begins or ends a phase: few of a task's events."""
AGENT_TYPES = frozenset(t for t in EventType if t.startswith("agent."))


class Event(BaseModel):
    """One event; `id` is the task's own counter from 1."""

    model_config = ConfigDict(frozen=True)

    id: int
    task_id: str
    type: EventType
    at: datetime
    attempt: int
    data: dict[str, Any]


class EventStore(Protocol):
    """Events of tasks. Numbers come from the task row, so they have no gap and no repeat."""

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
        """Add an event and return its number; the same (sandbox id, number) is added once.

        Returns 0, and adds nothing, when the task is over or the owner's `hold` is stale.
        The steps of an `agent.plan` are the task's plan from then on.
        """

    async def after(
        self,
        task_id: str,
        after: int,
        *,
        limit: int = 500,
        kinds: Collection[EventType] | None = None,
    ) -> list[Event]:
        """Return events with a greater number, in order; with `kinds`, of those only."""
