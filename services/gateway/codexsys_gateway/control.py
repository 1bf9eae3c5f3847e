"""The long poll by which an agent hears what people tell it, and that its task is cancelled."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from codexsys_core.attempt import AttemptStore
from codexsys_core.message import MessageStore
from codexsys_core.ready import Hints
from codexsys_core.sandbox import Sandbox, SandboxState, SandboxStore
from codexsys_gateway.refusals import STOPS, Refused

LOOK_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 30.0


class Control:
    """Answers as soon as there is something to say, else when the wait is over."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        sandboxes: SandboxStore,
        messages: MessageStore,
        hints: Hints,
    ) -> None:
        self._attempts = attempts
        self._messages = messages
        self._sandboxes = sandboxes
        self._hints = hints
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Answer every poll now, so that a shutdown need not wait for them."""
        self._closing.set()

    async def poll(self, sandbox: Sandbox, *, after: int, wait: float) -> dict[str, Any]:
        """Return new items; raises `Refused` with 401 once the row has ended."""
        loop = asyncio.get_running_loop()
        until = loop.time() + min(wait, LONGEST_WAIT_SECONDS)
        async with self._hints.listen("cancel") as hints:
            while True:
                items = [
                    item for item in await self._items(sandbox, after) if item["number"] > after
                ]
                left = until - loop.time()
                if items or left <= 0 or self._closing.is_set():
                    return {
                        "items": items,
                        "next": max([after, *(item["number"] for item in items)]),
                    }
                await self._pause(hints, min(left, LOOK_SECONDS))

    async def _pause(self, hints: AsyncIterator[str], seconds: float) -> None:
        """Wait for a hint, the end of the service, or the next look."""
        waits = [asyncio.ensure_future(anext(hints)), asyncio.create_task(self._closing.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def heard(self, sandbox: Sandbox, data: dict[str, Any]) -> None:
        """Note that the agent has put a message before its model."""
        await self._messages.delivered(sandbox.task_id, str(data.get("message", ""))[:32])

    async def _items(self, sandbox: Sandbox, after: int) -> list[dict[str, Any]]:
        row = await self._sandboxes.get(sandbox.id)
        if row is None or row.state is SandboxState.ENDED:
            raise Refused(STOPS, "token_revoked", "This sandbox has ended.")
        attempts = await self._attempts.of_task(sandbox.task_id, tenant_id=sandbox.tenant_id)
        cancelled = any(
            attempt.id == sandbox.attempt_id and attempt.cancel_at for attempt in attempts
        )
        messages = await self._messages.of_task(sandbox.task_id, after=after)
        told: list[dict[str, Any]] = [
            {
                "number": message.number,
                "type": "message",
                "data": {"message": message.id, "text": message.text},
            }
            for message in messages
        ]
        # A task that is cancelled takes no more messages, so this number is nobody else's.
        last = max([after, *(message.number for message in messages)])
        return [*told, {"number": last + 1, "type": "cancel", "data": {}}] if cancelled else told
