"""What is kept of a task: events, logs, files, and the links that show them."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, Index, LargeBinary, UniqueConstraint
from sqlalchemy.dialects import mysql
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


EVENTS = table_of(EventRow)
LOG_STREAMS = table_of(LogStreamRow)
LOG_CHUNKS = table_of(LogChunkRow)
ARTIFACTS = table_of(ArtifactRow)
SHARES = table_of(ShareRow)
