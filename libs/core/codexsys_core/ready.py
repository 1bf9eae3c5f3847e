"""The fair order of waiting tasks, and hints that something is new."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

AGING = timedelta(minutes=5)
"""What one step of priority is worth in waiting: whoever has waited longer than that comes first."""


class Waiting(NamedTuple):
    """A task that waits for a worker."""

    tenant_id: str
    task_id: str
    turn_at: datetime


def turn_at(queued_at: datetime, priority: int) -> datetime:
    """Return what a tenant's tasks are ordered by: the smaller, the sooner.

    It never changes while a task waits, and yet nothing starves: a task of the lowest priority is
    passed only by those that come within nine steps after it.
    """
    return queued_at + priority * AGING


class ReadySet(Protocol):
    """Which task is next, fairly over tenants. Membership is its only memory; a pop forgets.

    Nothing irreplaceable is here: the relay adds what is missing from the rows, and says the
    weights. Order: tenants in turn, one of weight 2 twice as often as one of weight 1; within a
    tenant by `turn_at`. A tenant that comes back, or was full, starts where the others are: it
    neither saves up turns nor gets ahead by leaving.
    """

    async def add(self, entries: Sequence[Waiting]) -> int:
        """Add entries; return how many were not there yet."""

    async def weigh(self, weights: Mapping[str, float]) -> None:
        """Set the weights of these tenants; one that was never named has weight 1."""

    async def pop(self, *, full: Collection[str] = ()) -> str | None:
        """Take the next task id of a tenant that is not full; None when there is none."""

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
