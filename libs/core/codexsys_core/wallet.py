"""What a task may still spend on model calls: reserved before, settled after."""

from typing import Protocol

from pydantic import BaseModel, ConfigDict

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

    Codes: budget_exhausted, calls_exhausted, tokens_exhausted, price_unknown, task_cancelled,
    token_revoked.
    """

    model_config = ConfigDict(frozen=True)

    code: str


class Prices(BaseModel):
    """Money per million tokens of one model; None where it is not known."""

    model_config = ConfigDict(frozen=True)

    input_usd: float
    output_usd: float
    cached_usd: float | None = None


class Wallet(Protocol):
    """One per task, shared by its attempts. Reserving is one conditional UPDATE.

    The same statement checks that the sandbox's row is live and the task neither ended nor
    cancelled. Raises `Unavailable` (never a refusal) when the database does not answer.
    """

    async def reserve(
        self,
        sandbox_id: str,
        *,
        input_tokens: int,
        output_tokens: int,
        prices: Prices | None,
        seconds: float,
    ) -> Grant | Refusal:
        """Reserve the worst case of a call that ends within `seconds`.

        Without prices only a task without a limit of money may make it (`price_unknown`).
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
