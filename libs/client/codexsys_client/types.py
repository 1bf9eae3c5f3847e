"""The shapes that the API answers with."""

import json
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

Status = Literal["queued", "running", "suspended", "succeeded", "failed", "cancelled", "timed_out"]
Verdict = Literal["verified", "unverified", "tests_failed", "tests_tampered", "no_change"]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "timed_out"})


class EndReason(TypedDict):
    """Why a task ended, and what to do now."""

    code: str
    category: str
    cause: str
    next: str
    detail: NotRequired[str]


class Usage(TypedDict):
    """What the model calls came to."""

    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    limit_usd: float | None


class Checks(TypedDict):
    """What was checked, and what the platform found."""

    command: str | None
    strategy: str
    before: dict[str, int] | None
    after: dict[str, int] | None
    evidence: NotRequired[dict[str, Any] | None]


class Diff(TypedDict):
    """Size of the change."""

    files: int
    insertions: int
    deletions: int


class Question(TypedDict):
    """What the agent asked a person; open while `answer` is None."""

    id: str
    text: str
    options: list[str]
    default: str | None
    deadline: str
    answer: str | None


class Links(TypedDict):
    """Where more is."""

    self: str
    html: str
    events: str
    logs: str
    artifacts: str


class Task(TypedDict):
    """A task."""

    id: str
    status: Status
    phase: str | None
    progress: int
    attempt: int
    verdict: Verdict | None
    prompt: str
    mode: str
    source: dict[str, Any]
    engine: str
    model: str | None
    labels: dict[str, str]
    created_at: str
    started_at: str | None
    finished_at: str | None
    deleted_at: str | None
    queue_position: int | None
    end_reason: EndReason | None
    questions: list[Question]
    usage: Usage
    plan: list[dict[str, Any]]
    checks: Checks
    diff: Diff | None
    retry_of: str | None
    links: Links


class TaskList(TypedDict):
    """One page of tasks, newest first."""

    items: list[Task]
    next_cursor: str | None


class Sandbox(TypedDict):
    """One sandbox of a try."""

    id: str
    role: str
    backend: str
    state: str
    created_at: str
    ended_at: str | None
    end_reason: str | None


class Attempt(TypedDict):
    """One try at a task."""

    id: str
    number: int
    state: str
    owner: str | None
    takeovers: int
    sandboxes: list[Sandbox]
    started_at: str | None
    ended_at: str | None
    end_reason: EndReason | None


class Event(TypedDict):
    """Something that happened to a task."""

    id: int
    type: str
    at: str
    attempt: int
    data: dict[str, Any]


class Artifact(TypedDict):
    """A file of a task, with a link that is good for a short time."""

    name: str
    size: int
    sha256: str
    content_type: str
    url: str
    expires_at: str | None


class Message(TypedDict):
    """A note to the agent; it was read when `delivered_at` says so, and not before."""

    id: str
    text: str
    created_at: str
    delivered_at: str | None


class MessageList(TypedDict):
    """One page of a task's messages, in order."""

    items: list[Message]
    next_cursor: str | None


class Share(TypedDict):
    """A share link; `url` is said once, when it is made."""

    id: str
    url: str
    parts: list[str]
    created_at: str
    expires_at: str
    revoked_at: str | None


class ShareList(TypedDict):
    """One page of a task's share links, newest first; their addresses are not told again."""

    items: list[Share]
    next_cursor: str | None


class Key(TypedDict):
    """A key; the secret text in `key` is said once, when it is made."""

    id: str
    name: str
    scope: str
    key: str | None
    created_at: str
    revoked_at: str | None


class KeyList(TypedDict):
    """One page of keys, newest first."""

    items: list[Key]
    next_cursor: str | None


class TasksUsage(TypedDict):
    """So many tasks, how many of them were verified, and what their model calls came to."""

    tasks: int
    verified: int
    calls: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float


class DayUsage(TasksUsage):
    """Of the tasks that were made on one day, in UTC."""

    day: str


class ValueUsage(TasksUsage):
    """Of the tasks whose label has this value; None: without it."""

    value: str | None


UsageReport = TypedDict(
    "UsageReport",
    {
        "from": str,
        "to": str,
        "label": str | None,
        "total": TasksUsage,
        "days": list[DayUsage],
        "values": list[ValueUsage],
        "more": bool,
    },
)
"""What was used from day to day; `values` are of the label that was named, the dearest first."""


class Upload(TypedDict):
    """A place for one zip: a form that is sent with these fields, and the zip as its part `file`."""

    upload_id: str
    url: str
    fields: dict[str, str]
    expires_at: str
    max_bytes: int


class LogChunk(NamedTuple):
    """A piece of a log: where it starts, where the next one starts, and its text."""

    offset: int
    next: int
    text: str

    @classmethod
    def of(cls, number: str, data: str) -> "LogChunk":
        """Read one from a stream's message."""
        told = json.loads(data)
        return cls(told["offset"], int(number), told["text"])


class Environment(TypedDict):
    """An environment; of its setup variables only the names are shown."""

    id: str
    name: str
    image: str | None
    setup: str | None
    variables: dict[str, str]
    setup_variables: list[str]
    network: dict[str, Any]
    services: list[dict[str, Any]]
    certificates: str | None
    proxy: str | None
    mirrors: dict[str, str]
    secrets_in_setup_sh: bool
    cache: bool
    checks: dict[str, Any] | None
    created_at: str
    updated_at: str


class EnvironmentList(TypedDict):
    """One page of environments, newest first."""

    items: list[Environment]
    next_cursor: str | None
