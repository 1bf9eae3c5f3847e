"""The long poll by which an agent hears that its task is cancelled."""

import asyncio
from contextlib import suppress
from typing import Any

from codexsys_core.attempt import AttemptStore
from codexsys_core.ready import Hints
from codexsys_core.sandbox import Sandbox, SandboxState, SandboxStore
from codexsys_gateway.refusals import STOPS, Refused

LOOK_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 30.0


class Control:
    """Answers as soon as there is something to say, else when the wait is over."""

    def __init__(self, *, attempts: AttemptStore, sandboxes: SandboxStore, hints: Hints) -> None:
        self._attempts = attempts
        self._sandboxes = sandboxes
        self._hints = hints

    async def poll(self, sandbox: Sandbox, *, after: int, wait: float) -> dict[str, Any]:
        """Return new items; raises `Refused` with 401 once the row has ended."""
        loop = asyncio.get_running_loop()
        until = loop.time() + min(wait, LONGEST_WAIT_SECONDS)
        async with self._hints.listen("cancel") as hints:
            while True:
                items = [item for item in await self._items(sandbox) if item["number"] > after]
                left = until - loop.time()
                if items or left <= 0:
                    return {
                        "items": items,
                        "next": max([after, *(item["number"] for item in items)]),
                    }
                with suppress(TimeoutError):
                    await asyncio.wait_for(anext(hints), min(left, LOOK_SECONDS))

    async def _items(self, sandbox: Sandbox) -> list[dict[str, Any]]:
        row = await self._sandboxes.get(sandbox.id)
        if row is None or row.state is SandboxState.ENDED:
            raise Refused(STOPS, "token_revoked", "This sandbox has ended.")
        attempts = await self._attempts.of_task(sandbox.task_id, tenant_id=sandbox.tenant_id)
        cancelled = any(
            attempt.id == sandbox.attempt_id and attempt.cancel_at for attempt in attempts
        )
        return [{"number": 1, "type": "cancel", "data": {}}] if cancelled else []
