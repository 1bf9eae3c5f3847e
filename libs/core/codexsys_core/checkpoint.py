"""The agent's work so far: a patch against the base and the engine's state."""

from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict


class Checkpoint(BaseModel):
    """Pointer to a stored checkpoint: objects `<object>/patch` and `<object>/state`."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    attempt: int
    fence: int
    number: int
    step: int
    object: str
    """`codexsys-code/checkpoints/<task_id>/<attempt>-<fence>-<number>`"""
    patch_size: int
    created_at: datetime


class CheckpointStore(Protocol):
    """Checkpoints of tasks."""

    async def add(self, checkpoint: Checkpoint, *, sandbox_id: str) -> bool:
        """Record one, if the sandbox's row is live; the same number twice is one."""

    async def last(self, task_id: str) -> Checkpoint | None:
        """Return the newest by (attempt, fence, number)."""
