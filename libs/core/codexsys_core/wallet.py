"""What a task may still spend on model calls: reserved before, settled after."""

from datetime import date
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from codexsys_core.sandbox import Sandbox
from codexsys_core.task import Usage

NO_LIMIT_MICROS = 2**62
"""The money, in millionths of a dollar, of a task without a limit of money."""


class Grant(BaseModel):
    """A reservation that was allowed."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    sandbox_id: str
    input_tokens: int
    output_tokens: int
    """The most output that this call may make: what was asked, capped to what is left."""
    number: int
    """Of the call within its task, from 1."""


class Refusal(BaseModel):
    """Why a call is not allowed.

    Codes: budget_exhausted, calls_exhausted, tokens_exhausted, day_budget_exhausted,
    day_tokens_exhausted, price_unknown, task_cancelled, token_revoked.
    """

    model_config = ConfigDict(frozen=True)

    code: str


class Prices(BaseModel):
    """Money per million tokens of one model; None where it is not known."""

    model_config = ConfigDict(frozen=True)

    input_usd: float
    output_usd: float
    cached_usd: float | None = None


class DayLimits(BaseModel):
    """What each tenant may spend in a day, in UTC, unless its own limits say otherwise. 0 is no limit."""

    model_config = ConfigDict(frozen=True)

    max_usd_per_day: float = Field(default=0.0, ge=0)
    max_tokens_per_day: int = Field(default=0, ge=0)


NO_DAY_LIMITS = DayLimits()


class TenantDay(BaseModel):
    """What a tenant's calls came to on one day, in UTC, with what is reserved as if it were used.

    A call counts on the day on which it was reserved. None is no limit.
    """

    day: date
    calls: int
    tokens: int
    cost_usd: float
    limit_tokens: int | None
    limit_usd: float | None


class Wallet(Protocol):
    """One per task, shared by its attempts. Reserving is one conditional UPDATE.

    The same statement checks that the sandbox's row is live and the task neither ended nor
    cancelled; its transaction takes the same out of what the tenant may spend today. Calls that are
    reserved, or settled, at the same moment may share a transaction. Raises `Unavailable` (never a
    refusal) when the database does not answer.
    """

    async def reserve(
        self,
        sandbox: Sandbox,
        *,
        input_tokens: int,
        output_tokens: int,
        prices: Prices | None,
        seconds: float,
    ) -> Grant | Refusal:
        """Reserve the worst case of a call that ends within `seconds`.

        Without prices only a task without a limit of money may make it, of a tenant without one
        (`price_unknown`).
        """

    async def settle(
        self, grant: Grant, usage: Usage | None, *, prices: Prices | None = None
    ) -> None:
        """Replace the reservation by what was used; None settles it in full. Idempotent.

        What was used is paid at `prices`, or at those of the reservation.
        """

    async def settle_overdue(self, *, limit: int) -> int:
        """Settle in full what was reserved for longer than its call may take."""

    async def usage(self, task_id: str) -> Usage:
        """Return what the task has used and reserved so far."""

    async def today(self, tenant_id: str) -> TenantDay:
        """Return what a tenant has used today, and how much it may."""
