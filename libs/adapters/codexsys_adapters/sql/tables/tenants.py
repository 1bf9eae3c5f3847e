"""Who owns things, and by what they are known."""

from datetime import datetime

from sqlalchemy import Column, Double, UniqueConstraint
from sqlmodel import Field, SQLModel

from codexsys_adapters.sql.tables.columns import (
    ascii_words,
    big_integer,
    identifier,
    integer,
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


TENANTS = table_of(TenantRow)
KEYS = table_of(KeyRow)
