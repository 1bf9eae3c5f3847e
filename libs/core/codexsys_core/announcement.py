"""What is said on the queue: that a task waits, and that one has ended."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from codexsys_core.ready import Waiting

TASKS_TOPIC = "codex-tasks"
RESULTS_TOPIC = "codex-results"
DEAD_TOPIC = "codex-tasks-dlq"


class TaskRecord(BaseModel):
    """Topic `codex-tasks`: a hint to workers, never their truth; no prompt, no secret."""

    model_config = ConfigDict(frozen=True)

    v: Literal[1] = 1
    task_id: str
    attempt: int
    tenant_id: str
    mode: str
    source: dict[str, Any]
    enqueued_at: datetime
    turn_at: datetime | None = Field(default=None, exclude=True)
    """Its place in the tenant's order; travels beside the value."""

    @property
    def waiting(self) -> Waiting:
        """Return what the ready set holds of it."""
        return Waiting(self.tenant_id, self.task_id, self.turn_at or self.enqueued_at)


class ResultRecord(BaseModel):
    """Topic `codex-results`: at least once, all copies equal; consumers dedupe on (task_id, seq)."""

    model_config = ConfigDict(frozen=True)

    v: Literal[1] = 1
    task_id: str
    tenant_id: str
    attempt: int
    fence: int
    seq: int
    status: str
    verdict: str | None
    end_reason: str
    finished_at: datetime
    artifacts: list[dict[str, Any]]


class Queue(Protocol):
    """Publishes and consumes records, keyed by task id, at least once.

    `publish_*` return once the broker has the record on all its replicas; `Unavailable` when it
    does not say so in time (the record may still arrive: consumers tolerate copies).
    """

    async def publish_tasks(self, records: Sequence[TaskRecord]) -> None:
        """Announce waiting tasks, in no order among them; after `Unavailable` some may be out."""

    async def publish_result(self, record: ResultRecord) -> None:
        """Announce a terminal task."""

    async def publish_dead(self, task_id: str, reason: str) -> None:
        """Put a task on the dead letter topic."""

    def tasks(self) -> AsyncIterator[Sequence[TaskRecord]]:
        """Yield batches; asking for the next one acknowledges the one before.

        All consumers share the work. What cannot be parsed goes to the dead letter topic.
        """

    def results(self, *, group: str) -> AsyncIterator[Sequence[ResultRecord]]:
        """Yield batches of results for one group of readers, from the beginning of what is kept."""

    async def ready(self) -> None:
        """Raise `Unavailable` unless the broker answers now."""


class Outbox(Protocol):
    """Rows that must still be announced. Several relays may read the same rows: copies are harmless."""

    async def unpublished_tasks(self, *, older_than_seconds: float, limit: int) -> list[TaskRecord]:
        """Return queued attempts whose record never went out."""

    async def tasks_published(self, records: Sequence[TaskRecord]) -> None:
        """Note that these records went out."""

    async def unpublished_results(
        self, *, older_than_seconds: float, limit: int
    ) -> list[ResultRecord]:
        """Return results that are due, made from the terminal rows."""

    async def result(self, task_id: str) -> ResultRecord | None:
        """Return the record of a terminal task."""

    async def result_published(self, task_id: str, seq: int) -> None:
        """Note that the result went out."""

    async def waiting(self, *, limit: int) -> list[Waiting]:
        """Return queued, due, not cancelled attempts: what the ready set should hold.

        In each tenant's order, and of each tenant its share of the limit (but never less than 20):
        one with a long queue does not keep the others out.
        """

    async def expire_queued(self, *, limit: int) -> int:
        """End queued tasks that waited longer than limits.queue_seconds (`queue_timeout`)."""
