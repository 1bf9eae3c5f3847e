"""What an operator looks at: how much waits and runs, and what has not moved for too long."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict


class Census(BaseModel):
    """Counts of rows at one moment."""

    model_config = ConfigDict(frozen=True)

    tasks: Mapping[str, int]
    """Tasks that are not over, by status."""
    queue_age_seconds: float
    """How long the oldest due attempt has been waiting."""
    expired_leases: int
    unpublished_records: int
    unpublished_results: int


class StuckKind(StrEnum):
    """Why something is said to be stuck."""

    QUEUED = "queued"
    """Due for a long time, and nobody has claimed it."""
    LEASE_EXPIRED = "lease_expired"
    """Its owner stopped renewing, and nobody has taken it over."""
    UNANSWERED = "unanswered"
    """Its question's deadline is over, and nobody has taken the default or ended it."""
    RECORD_UNPUBLISHED = "record_unpublished"
    RESULT_UNPUBLISHED = "result_unpublished"
    SANDBOX_WITHOUT_ATTEMPT = "sandbox_without_attempt"
    """Its row is live, but the attempt is over or has another owner."""
    SANDBOX_LEFT = "sandbox_left"
    """Its row has ended, and nobody has said that it is gone."""


class Stuck(BaseModel):
    """One thing that has not moved for too long."""

    model_config = ConfigDict(frozen=True)

    kind: StuckKind
    task_id: str
    tenant_id: str
    attempt: int
    since: datetime
    what: str
    """The owner, or the sandbox and its place."""


class CensusStore(Protocol):
    """Reads only, in a few indexed statements."""

    async def census(self, *, unpublished_seconds: float) -> Census:
        """Count; what is younger than `unpublished_seconds` may still be on its way."""

    async def stuck(
        self, *, queued_seconds: float, other_seconds: float, limit: int
    ) -> list[Stuck]:
        """Return what waits longer than `queued_seconds` for a worker, or longer for anything else."""
