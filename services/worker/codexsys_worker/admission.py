"""Whose tasks a worker works on: everybody's, or one tenant's where limits cannot be held."""

from typing import Protocol

from codexsys_core.principal import TenantStore


class Admission(Protocol):
    """Says whom this worker serves."""

    async def serves(self, tenant_id: str) -> bool:
        """Say whether a task of this tenant may be run here; raises `Unavailable`."""


class EveryTenant:
    """For hosts that hold every limit: no tenant can get in another's way."""

    async def serves(self, tenant_id: str) -> bool:  # noqa: ARG002
        """Say yes."""
        return True


class FirstTenant:
    """For hosts that cannot: the tenant that was made first, which never changes, and nobody else."""

    def __init__(self, *, keys: TenantStore) -> None:
        self._keys = keys

    async def serves(self, tenant_id: str) -> bool:
        """Say whether that is the one."""
        first = await self._keys.first_tenant()
        return first is not None and first.id == tenant_id
