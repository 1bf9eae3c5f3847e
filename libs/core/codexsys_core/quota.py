"""How much of the platform a tenant gets: its weight in the order, and caps on what runs, waits and is spent."""

from collections.abc import Mapping
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from codexsys_core.errors import PlatformError
from codexsys_core.principal import Tenant

MOST_USD, MOST_TOKENS = 1_000_000, 10**15


class Quota(BaseModel):
    """What was agreed for one tenant. A cap of None is the platform's default, of 0 is none."""

    model_config = ConfigDict(frozen=True)

    weight: float = Field(default=1.0, ge=0.01, le=100)
    max_running: int | None = Field(default=None, ge=0, le=1_000_000)
    max_queued: int | None = Field(default=None, ge=0, le=1_000_000)
    max_usd_per_day: float | None = Field(default=None, ge=0, le=MOST_USD)
    max_tokens_per_day: int | None = Field(default=None, ge=0, le=MOST_TOKENS)


class Load(BaseModel):
    """A tenant, its quota, and what it has now."""

    model_config = ConfigDict(frozen=True)

    tenant: Tenant
    quota: Quota
    running: int
    queued: int


class AtCapacity(PlatformError):
    """The tenant has as many attempts running as it may have; the attempt goes on waiting."""

    default_code = "at_capacity"

    def __init__(self, tenant_id: str) -> None:
        super().__init__("The tenant runs as many attempts as it may.")
        self.tenant_id = tenant_id


class QuotaStore(Protocol):
    """Quotas beside the counts that they limit. Counts are of rows, at this moment.

    The caps themselves are kept by `TaskStore.add`, `AttemptStore.claim` and `Wallet.reserve`, in
    their transactions.
    """

    async def set(self, tenant_id: str, quota: Quota) -> None:
        """Replace a tenant's quota; `NotFound` when there is no such tenant."""

    async def loads(self) -> list[Load]:
        """Return every tenant, by name."""

    async def room(self) -> Mapping[str, int]:
        """Return how many more attempts each tenant may start that runs some and has a cap."""

    async def weights(self) -> Mapping[str, float]:
        """Return the weights of all tenants that have something queued."""
