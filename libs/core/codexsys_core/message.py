"""What people tell an agent while it works, and the store of it."""

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.idempotency import Idempotency

MOST_MESSAGES = 100
"""Of one task."""


class Message(BaseModel):
    """A note to the agent of a task."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    text: str
    created_by: str
    """Id of the key."""
    created_at: datetime
    number: int = 0
    """Of its task, from 1; given by the store."""
    delivered_at: datetime | None = None
    """When an agent had it before the eyes of its model; None until then, and for ever if that never came."""


class MessageStore(Protocol):
    """Messages of tasks, numbered in the order in which they came.

    A task takes messages until it is over or its cancel was asked for, so a cancel is the last that
    its agent hears.
    """

    async def add(
        self, message: Message, *, tenant_id: str, idempotency: Idempotency | None = None
    ) -> Message:
        """Store it, with its event; with a known promise the one that was stored with it comes back.

        `NotFound`, or `Conflict`: `task_over`, `messages_not_read` (by the engine), `messages_full`.
        """

    async def of_task(self, task_id: str, *, after: int = 0) -> list[Message]:
        """Return messages with a greater number, in order."""

    async def delivered(self, task_id: str, message_id: str) -> None:
        """Note that the agent has it; the first time stays, what is not there is passed over."""
