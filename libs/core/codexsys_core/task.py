"""What a user asks for, and the store of it."""

from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from codexsys_core.attempt import Attempt
from codexsys_core.environment import Environment
from codexsys_core.idempotency import Idempotency
from codexsys_core.limits import Limits
from codexsys_core.moves import Phase, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.source import Base, Source
from codexsys_core.verdict import Checks, Evidence, Verdict

Mode = Literal["modify", "explain"]
Engine = Literal["builtin", "command"]
Start = Literal["checkpoint", "source"]


class Requirements(BaseModel):
    """The structured part of what is wanted; every list may be empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    functional: list[str] = Field(default_factory=list)
    technical: list[str] = Field(default_factory=list)
    acceptance: list[str] = Field(default_factory=list)
    affected_files: list[str] = Field(default_factory=list)
    dependencies: list[str] = Field(default_factory=list)
    out_of_scope: list[str] = Field(default_factory=list)


class TaskSpec(BaseModel):
    """What does not change about a task once it is accepted."""

    model_config = ConfigDict(frozen=True)

    prompt: str
    source: Source = Field(discriminator="kind")
    mode: Mode = "modify"
    environment: Environment = Field(default_factory=Environment)
    checks: Checks = Field(default_factory=Checks)
    engine: Engine = "builtin"
    model: str | None = None
    command: str | None = None
    """The script of engine `command`."""
    requirements: Requirements = Field(default_factory=Requirements)
    clarify: Literal["ask", "assume", "never"] = "ask"
    answer_within_seconds: int = 86_400
    limits: Limits = Field(default_factory=Limits)
    priority: int = 5
    start_from: Start = "checkpoint"
    """Of a retry: the last checkpoint of what it retries, or the source as it is now."""
    labels: dict[str, str] = Field(default_factory=dict)


class Usage(BaseModel):
    """What the model calls of a task came to."""

    model_config = ConfigDict(frozen=True)

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float = 0.0


class DiffStat(BaseModel):
    """Size of the change."""

    model_config = ConfigDict(frozen=True)

    files: int
    insertions: int
    deletions: int


class Task(BaseModel):
    """A task as its row tells it."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant_id: str
    created_by: str
    """Id of the key that submitted it."""
    spec: TaskSpec
    status: TaskStatus = TaskStatus.QUEUED
    phase: Phase | None = None
    attempt: int = 1
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    end: Outcome | None = None
    base: Base | None = None
    plan: list[dict[str, Any]] = Field(default_factory=list)
    diff: DiffStat | None = None
    usage: Usage = Field(default_factory=Usage)
    retry_of: str | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    deleted_at: datetime | None = None
    """When its owner had everything removed but this row."""
    place: int | None = None
    """Of one that was added just now: how many of its tenant's come before it."""
    asked: int = 0
    """How many questions its agents have asked."""
    seq: int = 0
    """Number of the task's last event; grows with every visible change."""


class Glance(NamedTuple):
    """What is looked at to know whether a task looks as it did; its place in the queue is not in it."""

    status: TaskStatus
    version: tuple[Any, ...]


SEARCHED = 1000
"""How many of a tenant's tasks, from the newest on, a search by words reads."""


class TaskQuery(BaseModel):
    """Filters of a list; newest first."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    status: TaskStatus | None = None
    verdict: Verdict | None = None
    label: tuple[str, str] | None = None
    source_url: str | None = None
    created_after: datetime | None = None
    limit: int = 20
    before: str | None = None
    """Only tasks with a smaller id: ids grow with time, so this is the cursor."""
    through: str | None = None
    """Only tasks up to this id, itself included: what a list showed when it began."""
    after: str | None = None
    """Only tasks with a greater id: what came since."""
    words: str | None = None
    """Only those of the newest `SEARCHED` tasks whose prompt, source URL or id has these words."""


class TaskStore(Protocol):
    """Tasks as their owners see them. Every call names the tenant; another's task is `NotFound`.

    Writes are one transaction each, and add their event in it. Raises `Unavailable` when the
    database does not answer.
    """

    async def add(
        self,
        task: Task,
        attempt: Attempt,
        idempotency: Idempotency | None = None,
        *,
        upload_id: str | None = None,
    ) -> Task:
        """Insert task, first attempt, wallet and first event (`task.queued`, seq 1).

        The upload that it is made of is used with it: `Invalid(code="upload_used")`, or
        `upload_not_found`, and nothing is inserted.

        With a known idempotency key the stored task comes back instead, or
        `Invalid(code="idempotency_mismatch")` when the fingerprint differs. `RateLimited(code=
        "queue_full")` when the tenant has as many attempts queued as it may have. What was inserted
        comes back with its place.
        """

    async def known(self, tenant_id: str, idempotency: Idempotency) -> Task | None:
        """Return the task that was made with this key; the same errors as `add`."""

    async def get(self, task_id: str, *, tenant_id: str) -> Task:
        """Return one task."""

    async def glance(self, task_id: str, *, tenant_id: str) -> Glance:
        """Return what is different when anything is that the owner is shown; cheaper than `get`."""

    async def find(self, query: TaskQuery) -> list[Task]:
        """Return up to `limit` tasks, newest first."""

    async def counts(self, *, tenant_id: str, most: int) -> dict[TaskStatus, int]:
        """Return how many tasks have each status, of each up to `most`."""

    async def cancel(self, task_id: str, *, tenant_id: str) -> Task:
        """Idempotent. Queued or suspended: ends at once (result due). Running: `cancel_at` is set."""

    async def delete(self, task_id: str, *, tenant_id: str) -> Task:
        """Remove what a terminal task says, its log text and its pointers to objects; idempotent.

        `Conflict` while it is not over (`task_not_over`), or one that is not over needs it
        (`task_in_use`). Its objects are the caller's to remove, now; retention does it later.
        """

    async def queue_position(self, task_id: str, *, tenant_id: str) -> int | None:
        """Return how many queued attempts of the tenant come first in its order; None when not queued."""
