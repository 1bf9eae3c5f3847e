"""Attempts, and the sandboxes and checkpoints of their owners."""

from datetime import datetime

from sqlalchemy import Column, Index, Integer, UniqueConstraint
from sqlmodel import Field, SQLModel

from codexsys_adapters.sql.tables.columns import (
    ascii_words,
    big_integer,
    identifier,
    integer,
    long_text,
    moment,
    table_of,
)


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


ATTEMPTS = table_of(AttemptRow)
SANDBOXES = table_of(SandboxRow)
CHECKPOINTS = table_of(CheckpointRow)
