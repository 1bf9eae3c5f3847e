"""All tables, as SQLModel classes: `schema.sql` and the migrations are held against them."""

from datetime import date, datetime

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Double,
    Index,
    Integer,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql
from sqlmodel import Field, SQLModel

from codexsys_adapters.sql.columns import (
    ascii_words,
    big_integer,
    identifier,
    integer,
    long_text,
    moment,
    words,
)


class TenantRow(SQLModel, table=True):
    """Owners, and how much of the platform each gets. Written by the command line."""

    __tablename__ = "tenants"
    __table_args__ = (UniqueConstraint("name", name="uq_tenants_name"),)

    id: str = Field(sa_column=identifier(key=True))
    name: str = Field(sa_column=words(100))
    created_at: datetime = Field(sa_column=moment())
    weight: float = Field(sa_column=Column(Double(), nullable=False, server_default="1"))
    max_running: int | None = Field(sa_column=integer(null=True))
    max_queued: int | None = Field(sa_column=integer(null=True))
    max_usd_per_day: float | None = Field(sa_column=Column(Double(), nullable=True))
    max_tokens_per_day: int | None = Field(sa_column=big_integer(null=True))


class KeyRow(SQLModel, table=True):
    """API keys; only the hash of the secret is kept."""

    __tablename__ = "api_keys"

    id: str = Field(sa_column=identifier(key=True))
    tenant_id: str = Field(sa_column=identifier(index=True))
    name: str = Field(sa_column=words(100))
    secret_hash: str = Field(sa_column=ascii_words(64))
    scope: str = Field(sa_column=ascii_words(8, given="admin"))
    created_at: datetime = Field(sa_column=moment())
    revoked_at: datetime | None = Field(sa_column=moment(null=True))


class TaskRow(SQLModel, table=True):
    """Tasks. Status moves only in a transaction that wrote the attempt row first."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("ix_tasks_of_tenant", "tenant_id", "id", "created_at", "verdict"),
        Index("ix_tasks_by_status", "tenant_id", "status", "id"),
        Index("ix_tasks_result_due", "result_due_at"),
        Index("ix_tasks_status", "status", "queue_until"),
        Index("ix_tasks_code", "code_gone_at", "finished_at"),
        Index("ix_tasks_files", "files_gone_at", "finished_at"),
    )

    id: str = Field(sa_column=identifier(key=True))
    tenant_id: str = Field(sa_column=identifier())
    created_by: str = Field(sa_column=identifier())
    retry_of: str | None = Field(sa_column=identifier(null=True))
    spec: str = Field(sa_column=long_text())
    source_url: str | None = Field(sa_column=words(2048, null=True))
    status: str = Field(sa_column=ascii_words(16))
    phase: str | None = Field(sa_column=ascii_words(16, null=True))
    attempt: int = Field(sa_column=integer())
    seq: int = Field(sa_column=big_integer())
    asked: int = Field(sa_column=Column(Integer(), nullable=False, server_default="0"))
    base: str | None = Field(sa_column=long_text(null=True))
    plan: str | None = Field(sa_column=long_text(null=True))
    verdict: str | None = Field(sa_column=ascii_words(16, null=True))
    evidence: str | None = Field(sa_column=long_text(null=True))
    diff: str | None = Field(sa_column=ascii_words(200, null=True))
    end_reason: str | None = Field(sa_column=ascii_words(40, null=True))
    end_detail: str | None = Field(sa_column=long_text(null=True))
    end_fence: int | None = Field(sa_column=big_integer(null=True))
    end_seq: int | None = Field(sa_column=big_integer(null=True))
    created_at: datetime = Field(sa_column=moment())
    queue_until: datetime = Field(sa_column=moment())
    started_at: datetime | None = Field(sa_column=moment(null=True))
    finished_at: datetime | None = Field(sa_column=moment(null=True))
    result_due_at: datetime | None = Field(sa_column=moment(null=True))
    code_gone_at: datetime | None = Field(sa_column=moment(null=True))
    files_gone_at: datetime | None = Field(sa_column=moment(null=True))
    deleted_at: datetime | None = Field(sa_column=moment(null=True))


class NeedRow(SQLModel, table=True):
    """Tasks that need what another one keeps: its source, its base, its checkpoints."""

    __tablename__ = "task_needs"
    __table_args__ = (Index("ix_task_needs_needed", "needed_id", "task_id"),)

    task_id: str = Field(sa_column=identifier(key=True))
    needed_id: str = Field(sa_column=identifier(key=True))


class QuestionRow(SQLModel, table=True):
    """Questions of tasks; open until they have an answer."""

    __tablename__ = "questions"
    __table_args__ = (
        Index("ix_questions_task", "task_id", "asked_at"),
        Index("ix_questions_open", "answered_at", "deadline"),
    )

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    attempt_id: str = Field(sa_column=identifier())
    text: str = Field(sa_column=long_text())
    options: str = Field(sa_column=long_text())
    default_answer: str | None = Field(sa_column=long_text(null=True))
    answer: str | None = Field(sa_column=long_text(null=True))
    answered_by: str | None = Field(sa_column=identifier(null=True))
    asked_at: datetime = Field(sa_column=moment())
    answered_at: datetime | None = Field(sa_column=moment(null=True))
    deadline: datetime = Field(sa_column=moment())


class MessageRow(SQLModel, table=True):
    """Notes of people to agents, numbered by their task; delivered_at: when the agent had it."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("task_id", "number", name="uq_messages_number"),)

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    number: int = Field(sa_column=integer())
    text: str = Field(sa_column=long_text())
    created_by: str = Field(sa_column=identifier())
    created_at: datetime = Field(sa_column=moment())
    delivered_at: datetime | None = Field(sa_column=moment(null=True))


class LabelRow(SQLModel, table=True):
    """Labels of tasks, for filters."""

    __tablename__ = "task_labels"
    __table_args__ = (Index("ix_task_labels", "tenant_id", "name", "value", "task_id"),)

    task_id: str = Field(sa_column=identifier(key=True))
    name: str = Field(sa_column=ascii_words(63, key=True))
    value: str = Field(sa_column=words(63))
    tenant_id: str = Field(sa_column=identifier())


class AttemptRow(SQLModel, table=True):
    """One try at a task: the arbiter of who owns it."""

    __tablename__ = "attempts"
    __table_args__ = (
        UniqueConstraint("task_id", "number", name="uq_attempts_number"),
        Index("ix_attempts_state_due", "state", "due_at"),
        Index("ix_attempts_state_lease", "state", "lease_until"),
        Index("ix_attempts_turn", "state", "tenant_id", "turn_at", "id"),
    )

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    tenant_id: str = Field(sa_column=identifier())
    number: int = Field(sa_column=integer())
    state: str = Field(sa_column=ascii_words(16))
    owner: str | None = Field(sa_column=identifier(null=True))
    fence: int = Field(sa_column=big_integer())
    takeovers: int = Field(sa_column=integer())
    due_at: datetime = Field(sa_column=moment())
    turn_at: datetime | None = Field(sa_column=moment(null=True))
    lease_until: datetime | None = Field(sa_column=moment(null=True))
    cancel_at: datetime | None = Field(sa_column=moment(null=True))
    published_at: datetime | None = Field(sa_column=moment(null=True))
    created_at: datetime = Field(sa_column=moment())
    started_at: datetime | None = Field(sa_column=moment(null=True))
    ended_at: datetime | None = Field(sa_column=moment(null=True))
    end_reason: str | None = Field(sa_column=ascii_words(40, null=True))
    end_detail: str | None = Field(sa_column=long_text(null=True))


class SandboxRow(SQLModel, table=True):
    """Sandboxes, inserted before they are made; state only goes forward."""

    __tablename__ = "sandboxes"
    __table_args__ = (
        UniqueConstraint("token_hash", name="uq_sandboxes_token"),
        Index("ix_sandboxes_task", "task_id", "id"),
        Index("ix_sandboxes_attempt", "attempt_id", "state"),
        Index("ix_sandboxes_place", "place", "destroyed_at"),
    )

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    tenant_id: str = Field(sa_column=identifier())
    attempt_id: str = Field(sa_column=identifier())
    attempt: int = Field(sa_column=integer())
    fence: int = Field(sa_column=big_integer())
    role: str = Field(sa_column=ascii_words(16))
    backend: str = Field(sa_column=ascii_words(16))
    place: str = Field(sa_column=ascii_words(128))
    life: int = Field(sa_column=Column(Integer(), nullable=False, server_default="1"))
    state: str = Field(sa_column=ascii_words(16))
    token_hash: str | None = Field(sa_column=ascii_words(64, null=True))
    deadline: datetime = Field(sa_column=moment())
    created_at: datetime = Field(sa_column=moment())
    ended_at: datetime | None = Field(sa_column=moment(null=True))
    destroyed_at: datetime | None = Field(sa_column=moment(null=True))
    end_reason: str | None = Field(sa_column=ascii_words(40, null=True))


class CheckpointRow(SQLModel, table=True):
    """Pointers to stored checkpoints."""

    __tablename__ = "checkpoints"
    __table_args__ = (
        UniqueConstraint("task_id", "attempt", "fence", "number", name="uq_checkpoints_number"),
    )

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    attempt: int = Field(sa_column=integer())
    fence: int = Field(sa_column=big_integer())
    number: int = Field(sa_column=integer())
    step: int = Field(sa_column=integer())
    object: str = Field(sa_column=ascii_words(255))
    patch_size: int = Field(sa_column=big_integer())
    created_at: datetime = Field(sa_column=moment())


class EventRow(SQLModel, table=True):
    """Events, numbered by the task's own counter."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("sandbox_id", "number", name="uq_events_sender"),)

    task_id: str = Field(sa_column=identifier(key=True))
    seq: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    type: str = Field(sa_column=ascii_words(40))
    attempt: int = Field(sa_column=integer())
    at: datetime = Field(sa_column=moment())
    data: str = Field(sa_column=long_text())
    sandbox_id: str | None = Field(sa_column=identifier(null=True))
    number: int | None = Field(sa_column=big_integer(null=True))


class LogStreamRow(SQLModel, table=True):
    """One row per stream of a task: its size is the next chunk's offset."""

    __tablename__ = "log_streams"
    __table_args__ = (Index("ix_log_streams_cleared", "cleared_at", "sealed_at"),)

    task_id: str = Field(sa_column=identifier(key=True))
    stream: str = Field(sa_column=ascii_words(16, key=True))
    size: int = Field(sa_column=big_integer())
    sealed_at: datetime | None = Field(sa_column=moment(null=True))
    cleared_at: datetime | None = Field(sa_column=moment(null=True))


class LogChunkRow(SQLModel, table=True):
    """Log text, already redacted."""

    __tablename__ = "log_chunks"
    __table_args__ = (
        UniqueConstraint("task_id", "stream", "sandbox_id", "number", name="uq_log_chunks_sender"),
    )

    task_id: str = Field(sa_column=identifier(key=True))
    stream: str = Field(sa_column=ascii_words(16, key=True))
    start: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    sandbox_id: str = Field(sa_column=identifier())
    number: int = Field(sa_column=big_integer())
    text: bytes = Field(
        sa_column=Column(
            LargeBinary().with_variant(mysql.MEDIUMBLOB(), "mysql", "mariadb"), nullable=False
        )
    )


class ArtifactRow(SQLModel, table=True):
    """Files of a terminal task."""

    __tablename__ = "artifacts"

    task_id: str = Field(sa_column=identifier(key=True))
    name: str = Field(sa_column=ascii_words(100, key=True))
    object: str = Field(sa_column=ascii_words(255))
    size: int = Field(sa_column=big_integer())
    sha256: str = Field(sa_column=ascii_words(64))
    content_type: str = Field(sa_column=ascii_words(100))


class ShareRow(SQLModel, table=True):
    """Share links; only the hash of the token is kept."""

    __tablename__ = "shares"
    __table_args__ = (UniqueConstraint("token_hash", name="uq_shares_token"),)

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier(index=True))
    tenant_id: str = Field(sa_column=identifier())
    token_hash: str = Field(sa_column=ascii_words(64))
    parts: str = Field(sa_column=ascii_words(255))
    created_at: datetime = Field(sa_column=moment())
    expires_at: datetime = Field(sa_column=moment())
    revoked_at: datetime | None = Field(sa_column=moment(null=True))


class IdempotencyRow(SQLModel, table=True):
    """Keys by which clients say that two requests are one; kept 24 h. task_id: of whatever was made or answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_age", "created_at"),)

    tenant_id: str = Field(sa_column=identifier(key=True))
    key: str = Field(sa_column=ascii_words(255, key=True))
    fingerprint: str = Field(sa_column=ascii_words(64))
    task_id: str = Field(sa_column=identifier())
    created_at: datetime = Field(sa_column=moment())


class UploadRow(SQLModel, table=True):
    """Places for zips sent to the store; task_id: the one task made of it, refused_at: its zip was no good, deleted_at: given up."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index("ix_uploads_age", "created_at"),
        Index("ix_uploads_unused", "tenant_id", "task_id"),
    )

    id: str = Field(sa_column=identifier(key=True))
    tenant_id: str = Field(sa_column=identifier())
    created_by: str = Field(sa_column=identifier())
    filename: str = Field(sa_column=words(200))
    created_at: datetime = Field(sa_column=moment())
    task_id: str | None = Field(sa_column=identifier(null=True))
    refused_at: datetime | None = Field(sa_column=moment(null=True))
    deleted_at: datetime | None = Field(sa_column=moment(null=True))


class EnvironmentRow(SQLModel, table=True):
    """Environments by name. spec is JSON; secrets in it are sealed for this row's id."""

    __tablename__ = "environments"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name", name="uq_environments_name"),
        Index("ix_environments_tenant", "tenant_id", "id"),
    )

    id: str = Field(sa_column=identifier(key=True))
    tenant_id: str = Field(sa_column=identifier())
    name: str = Field(sa_column=words(100))
    spec: str = Field(sa_column=long_text())
    revision: int = Field(sa_column=big_integer())
    created_at: datetime = Field(sa_column=moment())
    updated_at: datetime = Field(sa_column=moment())


class WalletRow(SQLModel, table=True):
    """What a task may spend on model calls, in calls, tokens and millionths of a dollar."""

    __tablename__ = "wallets"

    task_id: str = Field(sa_column=identifier(key=True))
    limit_calls: int = Field(sa_column=big_integer())
    limit_tokens: int = Field(sa_column=big_integer())
    limit_micros: int = Field(sa_column=big_integer())
    calls: int = Field(sa_column=big_integer())
    input_tokens: int = Field(sa_column=big_integer())
    output_tokens: int = Field(sa_column=big_integer())
    cached_tokens: int = Field(sa_column=big_integer())
    micros: int = Field(sa_column=big_integer())
    reserved_tokens: int = Field(sa_column=big_integer())
    reserved_micros: int = Field(sa_column=big_integer())


class ReservationRow(SQLModel, table=True):
    """A model call under way."""

    __tablename__ = "reservations"
    __table_args__ = (Index("ix_reservations_due", "settled_at", "until"),)

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    sandbox_id: str = Field(sa_column=identifier())
    input_tokens: int = Field(sa_column=big_integer())
    output_tokens: int = Field(sa_column=big_integer())
    micros: int = Field(sa_column=big_integer())
    price_input: int = Field(sa_column=big_integer())
    price_output: int = Field(sa_column=big_integer())
    price_cached: int = Field(sa_column=big_integer())
    until: datetime = Field(sa_column=moment())
    settled_at: datetime | None = Field(sa_column=moment(null=True))
    number: int | None = Field(sa_column=integer(null=True))
    """Of the call within its task; none of those that an older version made."""
    tenant_id: str | None = Field(sa_column=identifier(null=True))
    day: date | None = Field(sa_column=Column(Date(), nullable=True))


class TenantDayRow(SQLModel, table=True):
    """What a tenant's calls of one day (in UTC, when they were reserved) came to."""

    __tablename__ = "tenant_days"

    tenant_id: str = Field(sa_column=identifier(key=True))
    day: date = Field(sa_column=Column(Date(), primary_key=True))
    calls: int = Field(sa_column=big_integer())
    tokens: int = Field(sa_column=big_integer())
    micros: int = Field(sa_column=big_integer())
    reserved_tokens: int = Field(sa_column=big_integer())
    reserved_micros: int = Field(sa_column=big_integer())


_TABLES = SQLModel.metadata.tables
TENANTS, KEYS = _TABLES["tenants"], _TABLES["api_keys"]
TASKS, ATTEMPTS, LABELS = _TABLES["tasks"], _TABLES["attempts"], _TABLES["task_labels"]
NEEDS, QUESTIONS = _TABLES["task_needs"], _TABLES["questions"]
MESSAGES = _TABLES["messages"]
SANDBOXES, CHECKPOINTS = _TABLES["sandboxes"], _TABLES["checkpoints"]
EVENTS, LOG_STREAMS, LOG_CHUNKS = _TABLES["events"], _TABLES["log_streams"], _TABLES["log_chunks"]
ARTIFACTS, SHARES, IDEMPOTENCY = (
    _TABLES["artifacts"],
    _TABLES["shares"],
    _TABLES["idempotency_keys"],
)
ENVIRONMENTS, UPLOADS = _TABLES["environments"], _TABLES["uploads"]
WALLETS, RESERVATIONS = _TABLES["wallets"], _TABLES["reservations"]
TENANT_DAYS = _TABLES["tenant_days"]

for _table in _TABLES.values():
    # Texts are compared byte by byte on every server, as SQLite does it.
    _table.dialect_kwargs.update(
        mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin"
    )
