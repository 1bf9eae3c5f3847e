"""What model calls may cost, and did."""

from datetime import date, datetime

from sqlalchemy import Column, Date, Index
from sqlmodel import Field, SQLModel

from codexsys_adapters.sql.tables.columns import big_integer, identifier, integer, moment, table_of


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


WALLETS = table_of(WalletRow)
RESERVATIONS = table_of(ReservationRow)
TENANT_DAYS = table_of(TenantDayRow)
