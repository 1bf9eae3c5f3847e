"""Caps: which tenants run as many attempts as they may."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from codexsys_core.errors import Unavailable
from codexsys_core.quota import QuotaStore

READ_SECONDS = 1.0
"""Beats wait for it: a database that freezes now must not keep the next one."""


class Caps:
    """Counts of rows, read with each beat, and this worker's own claims since.

    It only saves claims that would be refused: the claim's own transaction keeps the cap.
    """

    def __init__(self, *, quotas: QuotaStore) -> None:
        self._quotas = quotas
        self._room: dict[str, int] = {}

    @property
    def full(self) -> frozenset[str]:
        """Return the tenants of which nothing more may be started now."""
        return frozenset(tenant for tenant, room in self._room.items() if room <= 0)

    async def read(self) -> None:
        """Count again; while the database is away, the last counts stand."""
        try:
            async with asyncio.timeout(READ_SECONDS):
                self._room = dict(await self._quotas.room())
        except (Unavailable, TimeoutError) as error:
            structlog.get_logger().warning("caps not read", error=str(error))

    def refused(self, tenant_id: str) -> None:
        """Note that a claim found the tenant full."""
        self._room[tenant_id] = 0

    @contextmanager
    def taken(self, tenant_id: str) -> Iterator[None]:
        """Count one attempt more for as long as the block runs."""
        self._add(tenant_id, -1)
        try:
            yield
        finally:
            self._add(tenant_id, 1)

    def _add(self, tenant_id: str, number: int) -> None:
        if tenant_id in self._room:
            self._room[tenant_id] += number
