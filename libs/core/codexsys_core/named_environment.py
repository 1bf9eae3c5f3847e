"""Environments that a tenant keeps under a name, and the store of them."""

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.environment import Environment
from codexsys_core.idempotency import Idempotency


class NamedEnvironment(BaseModel):
    """A kept environment. Tasks take a copy of it, so changing it changes no accepted task."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant_id: str
    name: str
    """Unique in its tenant."""
    environment: Environment
    revision: int = 1
    """Counts its changes."""
    created_at: datetime
    updated_at: datetime


class EnvironmentStore(Protocol):
    """Environments by tenant; another tenant's is `NotFound`. Raises `Unavailable`."""

    async def add(
        self, named: NamedEnvironment, idempotency: Idempotency | None = None
    ) -> NamedEnvironment:
        """Insert it; `Conflict(code="environment_exists")` when the tenant has one of that name.

        With a known idempotency key the stored one comes back instead, or
        `Invalid(code="idempotency_mismatch")` when the fingerprint differs.
        """

    async def known(self, tenant_id: str, idempotency: Idempotency) -> NamedEnvironment | None:
        """Return what was made with this key in the last 24 hours, as it is now."""

    async def get(self, environment_id: str, *, tenant_id: str) -> NamedEnvironment:
        """Return one."""

    async def find(
        self, *, tenant_id: str, limit: int, before: str | None = None, name: str | None = None
    ) -> list[NamedEnvironment]:
        """Return up to `limit` of them, newest first; `before` is an id, the cursor."""

    async def replace(self, named: NamedEnvironment) -> bool:
        """Write it over the revision before its own; False when that is not what is stored.

        `NotFound` when it is gone; `Conflict(code="environment_exists")` for a name that is taken.
        """

    async def delete(self, environment_id: str, *, tenant_id: str) -> None:
        """Remove it; `NotFound` when it is not there."""
