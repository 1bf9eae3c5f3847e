"""The public form of tasks, events, attempts, artifacts, shares and keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from codexsys_api.sources import SourceShown, shown_source
from codexsys_core.artifact import Artifact, Link
from codexsys_core.attempt import Attempt
from codexsys_core.end_reasons import Category, EndReason
from codexsys_core.event import Event, EventType
from codexsys_core.limits import Limits
from codexsys_core.message import Message
from codexsys_core.moves import PROGRESS, AttemptState, Phase, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.principal import ApiKey, Scope
from codexsys_core.question import Question
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxState
from codexsys_core.share import Share
from codexsys_core.task import DiffStat, Task
from codexsys_core.verdict import Evidence, Verdict


class EndReasonBody(BaseModel):
    """Why a task ended, and what to do now."""

    code: EndReason
    category: Category
    cause: str
    next: str
    detail: str


class UsageBody(BaseModel):
    """What model calls came to."""

    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    limit_usd: float | None
    """None: there is no limit of money."""


class ChecksBody(BaseModel):
    """What was to be checked, and what the platform found."""

    command: str | None
    strategy: str
    may_change: list[str]
    before: dict[str, int] | None
    after: dict[str, int] | None
    evidence: Evidence | None


class LinksBody(BaseModel):
    """Where more is."""

    self: str
    html: str
    events: str
    logs: str
    artifacts: str


class QuestionBody(BaseModel):
    """What the agent asked a person; open while `answer` is null."""

    id: str
    text: str
    options: list[str]
    default: str | None
    deadline: datetime
    answer: str | None


class TaskBody(BaseModel):
    """A task."""

    id: str
    status: TaskStatus
    phase: Phase | None
    progress: int
    attempt: int
    verdict: Verdict | None
    prompt: str
    mode: str
    source: SourceShown
    engine: str
    model: str | None
    labels: dict[str, str]
    limits: Limits
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deleted_at: datetime | None
    queue_position: int | None
    end_reason: EndReasonBody | None
    questions: list[QuestionBody]
    usage: UsageBody
    plan: list[dict[str, Any]]
    checks: ChecksBody
    diff: DiffStat | None
    commit: str | None
    pull_request: str | None
    retry_of: str | None
    links: LinksBody


class TaskList(BaseModel):
    """One page of tasks."""

    items: list[TaskBody]
    next_cursor: str | None


class EventBody(BaseModel):
    """Something that happened to a task."""

    id: int
    type: EventType
    at: datetime
    attempt: int
    data: dict[str, Any]


class EventPage(BaseModel):
    """Events in order; `next` is what to give as `after` for those that follow."""

    items: list[EventBody]
    next: int


class SandboxBody(BaseModel):
    """One sandbox of a try; `end_reason` says who or what ended it."""

    id: str
    role: SandboxRole
    backend: str
    state: SandboxState
    created_at: datetime
    ended_at: datetime | None
    end_reason: str | None


class AttemptBody(BaseModel):
    """One try."""

    id: str
    number: int
    state: AttemptState
    owner: str | None
    takeovers: int
    sandboxes: list[SandboxBody]
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReasonBody | None


class AttemptList(BaseModel):
    """One page of the tries at a task, in order."""

    items: list[AttemptBody]
    next_cursor: str | None


class ArtifactBody(BaseModel):
    """A file, with a link that is good for a short time."""

    name: str
    size: int
    sha256: str
    content_type: str
    url: str
    expires_at: datetime | None


class ArtifactList(BaseModel):
    """All files of a task, by name."""

    items: list[ArtifactBody]
    next_cursor: None


class ShareBody(BaseModel):
    """A share link; `url` is said once, when it is made."""

    id: str
    url: str | None = None
    parts: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


class ShareList(BaseModel):
    """One page of a task's links, newest first."""

    items: list[ShareBody]
    next_cursor: str | None


class MessageBody(BaseModel):
    """A note to the agent; it was read when `delivered_at` says so, and not before."""

    id: str
    text: str
    created_at: datetime
    delivered_at: datetime | None


class MessageList(BaseModel):
    """One page of a task's messages, in order."""

    items: list[MessageBody]
    next_cursor: str | None


class KeyBody(BaseModel):
    """A key; `key` is said once, when it is made."""

    id: str
    name: str
    scope: Scope
    key: str | None = None
    created_at: datetime
    revoked_at: datetime | None


class KeyList(BaseModel):
    """One page of keys."""

    items: list[KeyBody]
    next_cursor: str | None


def task_body(
    task: Task,
    *,
    base_url: str,
    queue_position: int | None = None,
    questions: Sequence[Question] = (),
) -> TaskBody:
    """Return the Task of the REST API."""
    spec = task.spec
    return TaskBody(
        id=task.id,
        status=task.status,
        phase=task.phase,
        progress=_progress(task),
        attempt=task.attempt,
        verdict=task.verdict,
        prompt=spec.prompt,
        mode=spec.mode,
        source=shown_source(spec.source),
        engine=spec.engine,
        model=spec.model,
        labels=spec.labels,
        limits=spec.limits,
        created_at=task.created_at,
        started_at=task.started_at,
        finished_at=task.finished_at,
        deleted_at=task.deleted_at,
        queue_position=queue_position,
        end_reason=_end(task.end),
        questions=[
            QuestionBody(**each.model_dump(include=set(QuestionBody.model_fields)))
            for each in questions
        ],
        usage=UsageBody(**task.usage.model_dump(), limit_usd=spec.limits.cost_usd),
        plan=task.plan,
        checks=_checks(task),
        diff=task.diff,
        commit=None,
        pull_request=None,
        retry_of=task.retry_of,
        links=_links(task.id, base_url),
    )


def _links(task_id: str, base_url: str) -> LinksBody:
    api = f"{base_url}/api/v1/tasks/{task_id}"
    return LinksBody(
        self=api,
        html=f"{base_url}/tasks/{task_id}",
        events=f"{api}/events",
        logs=f"{api}/logs",
        artifacts=f"{api}/artifacts",
    )


def _progress(task: Task) -> int:
    if task.status.terminal:
        return 100
    return PROGRESS[task.phase] if task.phase else 0


def _checks(task: Task) -> ChecksBody:
    checks, evidence = task.spec.checks, task.evidence
    return ChecksBody(
        command=(evidence.command if evidence else None) or checks.command,
        strategy=checks.strategy,
        may_change=checks.may_change,
        before=evidence.before if evidence else None,
        after=evidence.after if evidence else None,
        evidence=evidence,
    )


def _end(outcome: Outcome | None) -> EndReasonBody | None:
    if outcome is None:
        return None
    reason = outcome.reason
    return EndReasonBody(
        code=reason,
        category=reason.category,
        cause=reason.cause,
        next=reason.next,
        detail=outcome.detail,
    )


def event_body(event: Event) -> dict[str, Any]:
    """Return an event."""
    return EventBody(
        id=event.id, type=event.type, at=event.at, attempt=event.attempt, data=event.data
    ).model_dump(mode="json")


def attempt_body(attempt: Attempt, made: Sequence[Sandbox]) -> dict[str, Any]:
    """Return an attempt with the sandboxes that were made for it, in order."""
    rows = [SandboxBody(**row.model_dump(include=set(SandboxBody.model_fields))) for row in made]
    known = attempt.model_dump(
        include={"id", "number", "state", "owner", "takeovers", "started_at", "ended_at"}
    )
    body = AttemptBody(**known, sandboxes=rows, end_reason=_end(attempt.end))
    return body.model_dump(mode="json")


def artifact_body(artifact: Artifact, link: Link | str) -> dict[str, Any]:
    """Return an artifact with a presigned link, or with a lasting address of the API's own."""
    return ArtifactBody(
        name=artifact.name,
        size=artifact.size,
        sha256=artifact.sha256,
        content_type=artifact.content_type,
        url=link.url if isinstance(link, Link) else link,
        expires_at=link.expires_at if isinstance(link, Link) else None,
    ).model_dump(mode="json")


def share_body(share: Share, *, url: str | None = None) -> dict[str, Any]:
    """Return a share link; its address only when it is new."""
    known = share.model_dump(include={"id", "created_at", "expires_at", "revoked_at"})
    return ShareBody(**known, url=url, parts=list(share.parts)).model_dump(mode="json")


def message_body(message: Message) -> dict[str, Any]:
    """Return a message."""
    return MessageBody(**message.model_dump(include=set(MessageBody.model_fields))).model_dump(
        mode="json"
    )


def key_body(key: ApiKey, *, text: str | None = None) -> dict[str, Any]:
    """Return a key; its secret only when it is new."""
    known = key.model_dump(include={"id", "name", "scope", "created_at", "revoked_at"})
    return KeyBody(**known, key=text).model_dump(mode="json")


Stream = Literal["setup", "agent", "verify"]
