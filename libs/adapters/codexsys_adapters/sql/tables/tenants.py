"""Who owns things, by what they are known, and what they hand in beside tasks."""

from datetime import datetime

from sqlalchemy import Column, Double, Index, UniqueConstraint
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


class IdempotencyRow(SQLModel, table=True):
    """Keys by which clients say that two requests are one; kept 24 h. task_id: of whatever was made or answered."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("ix_idempotency_keys_age", "created_at"),)

    tenant_id: str = Field(sa_column=identifier(key=True))
    key: str = Field(sa_column=ascii_words(255, key=True))
    fingerprint: str = Field(sa_column=ascii_words(64))
    task_id: str = Field(sa_column=identifier())
    created_at: datetime = Field(sa_column=moment())


TENANTS = table_of(TenantRow)
KEYS = table_of(KeyRow)
ENVIRONMENTS = table_of(EnvironmentRow)
UPLOADS = table_of(UploadRow)
IDEMPOTENCY = table_of(IdempotencyRow)
