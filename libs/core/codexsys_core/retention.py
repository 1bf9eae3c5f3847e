"""What is removed after a while, or at once when its owner says so; rows of tasks stay for ever."""

from collections.abc import Collection
from enum import StrEnum
from typing import Protocol

from codexsys_core.artifact import CODE_BUCKET, LOGS_BUCKET, ObjectStore
from codexsys_core.checkpoint import Checkpoint

UPLOADED = f"{CODE_BUCKET}/tmp_zips/"  # noqa: S108 - objects, not a path


class Kept(StrEnum):
    """What of a task is kept apart from its row."""

    CODE = "code"
    """Uploaded zip and base."""
    FILES = "files"
    """Artifacts, logs, checkpoints."""

    def prefixes(self, task_id: str) -> tuple[str, ...]:
        """Return where its objects are."""
        if self is Kept.CODE:
            return (f"{UPLOADED}{task_id}/", f"{CODE_BUCKET}/processed_code/{task_id}/")
        return (f"{LOGS_BUCKET}/logs/{task_id}/", f"{CODE_BUCKET}/checkpoints/{task_id}/")


class RetentionStore(Protocol):
    """Which rows are due for removal. All times are the database's.

    Objects go first, then the row says so: a crash in between, or another relay at the same time,
    does the same once more. What a task needs that is not over (a retry, a task that carries on from
    it) is never due.
    """

    async def due(self, kept: Kept, *, after_seconds: float, limit: int) -> list[str]:
        """Return terminal tasks that still keep this: ended longer ago, or deleted an hour ago.

        Code whose task left its change in a checkpoint alone is not due before its files are.
        """

    async def gone(self, task_id: str, kept: Kept) -> None:
        """Note that no object is left; with files go the rows of artifacts, logs and checkpoints."""

    async def old_checkpoints(
        self, *, keep: int, limit: int, after_seconds: float
    ) -> list[Checkpoint]:
        """Return checkpoints beyond the last `keep` of their tasks that are older than that."""

    async def forget_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Remove a checkpoint's row."""

    async def clear_chunks(self, *, after_seconds: float, limit: int) -> int:
        """Remove the rows of log streams that are sealed so long and kept as artifacts, too."""

    async def clear_keys(self, *, limit: int) -> int:
        """Remove idempotency keys that are older than a day."""

    async def unknown(self, task_ids: Collection[str]) -> set[str]:
        """Return those of which there is no task."""


async def remove(objects: ObjectStore, task_id: str, kept: Kept) -> int:
    """Remove a task's objects; return how many there were."""
    names = [name for prefix in kept.prefixes(task_id) for name in await objects.names(prefix)]
    for name in names:
        await objects.delete(name)
    return len(names)
