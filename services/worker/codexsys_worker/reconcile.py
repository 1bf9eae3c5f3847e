"""Reconcile: clear away sandboxes at this place whose row has ended."""

import structlog

from codexsys_core.errors import PlatformError
from codexsys_core.sandbox import SandboxBackend, SandboxState, SandboxStore
from codexsys_wiring.metrics import RECONCILED


class Reconciler:
    """Destroys only what has ended: an ended row never reverts, so anyone may do it."""

    def __init__(self, *, sandboxes: SandboxStore, backend: SandboxBackend) -> None:
        self._sandboxes = sandboxes
        self._backend = backend

    async def once(self) -> None:
        """Compare rows with what the backend lists."""
        for row in await self._sandboxes.undestroyed(self._backend.place):
            if row.state is SandboxState.ENDED:
                await self._destroy(row.id)
                await self._sandboxes.destroyed(row.id)
        for sandbox_id in await self._backend.list():
            row_there = await self._sandboxes.get(sandbox_id)
            if row_there is not None and row_there.state is SandboxState.ENDED:
                await self._destroy(sandbox_id)

    async def _destroy(self, sandbox_id: str) -> None:
        try:
            await self._backend.destroy(sandbox_id)
            RECONCILED.inc()
        except PlatformError as error:
            structlog.get_logger().warning(
                "sandbox not destroyed", sandbox_id=sandbox_id, error=error.message
            )
            raise
