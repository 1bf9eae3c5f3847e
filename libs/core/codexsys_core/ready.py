"""The fair order of waiting tasks, and hints that something is new."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol


class ReadySet(Protocol):
    """Which task is next, fairly over tenants. Membership is its only memory; a pop forgets.

    Nothing irreplaceable is here: the relay adds what is missing from the rows. Order: tenants in
    turn, within a tenant by priority (0 first), then first come.
    """

    async def add(self, entries: Sequence[tuple[str, str, int]]) -> int:
        """Add (tenant id, task id, priority) triples; return how many were not there yet."""

    async def pop(self) -> str | None:
        """Take the next task id, None when nothing waits."""

    async def wait(self, timeout_seconds: float) -> None:
        """Return when something may be there, at the latest after the timeout."""

    async def discard(self, tenant_id: str, task_id: str) -> None:
        """Forget an entry."""


class Hints(Protocol):
    """Says only that there is more; the truth is read from the rows. Lossy by contract.

    Topics are `task:<id>` (events, logs, status), `cancel` (payload: task id).
    """

    async def tell(self, topic: str, payload: str = "") -> None:
        """Tell whoever listens; never raises for a Redis that is away."""

    def listen(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Listen; yields payloads. Hints told before entering are not seen."""

    async def ready(self) -> None:
        """Raise `Unavailable` unless the server answers now."""
