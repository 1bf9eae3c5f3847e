"""Tasks, and what they are found by."""

from datetime import datetime

from sqlalchemy import Column, Index, Integer
from sqlmodel import Field, SQLModel

from codexsys_adapters.sql.tables.columns import (
    ascii_words,
    big_integer,
    identifier,
    integer,
    long_text,
    moment,
    table_of,
    words,
)


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


class LabelRow(SQLModel, table=True):
    """Labels of tasks, for filters."""

    __tablename__ = "task_labels"
    __table_args__ = (Index("ix_task_labels", "tenant_id", "name", "value", "task_id"),)

    task_id: str = Field(sa_column=identifier(key=True))
    name: str = Field(sa_column=ascii_words(63, key=True))
    value: str = Field(sa_column=words(63))
    tenant_id: str = Field(sa_column=identifier())


class NeedRow(SQLModel, table=True):
    """Tasks that need what another one keeps: its source, its base, its checkpoints."""

    __tablename__ = "task_needs"
    __table_args__ = (Index("ix_task_needs_needed", "needed_id", "task_id"),)

    task_id: str = Field(sa_column=identifier(key=True))
    needed_id: str = Field(sa_column=identifier(key=True))


TASKS = table_of(TaskRow)
LABELS = table_of(LabelRow)
NEEDS = table_of(NeedRow)
