"""Removes what is no longer kept. Any number of relays may do it at the same time."""

from dataclasses import dataclass
from datetime import timedelta

from codexsys_core.artifact import ObjectStore
from codexsys_core.checkpoint import Checkpoint
from codexsys_core.clock import Clock
from codexsys_core.ids import made_at
from codexsys_core.retention import UPLOADED, Kept, RetentionStore, remove
from codexsys_core.upload import FORGOTTEN_SECONDS, SENT, UploadStore
from codexsys_wiring.metrics import FORGOTTEN

BATCH = 100
DAY_SECONDS = 86_400.0
SWEEP_SECONDS = 3600.0
CHECKPOINT_SECONDS = 300.0
"""Links to the change of a younger one may be in somebody's hands."""
UPLOAD_AGE = timedelta(days=1)
STRAY_AGE = timedelta(days=2)
"""Nothing that was sent is used so late, and its row is forgotten."""


@dataclass(frozen=True)
class Terms:
    """How long things are kept."""

    code_days: float
    artifact_days: float
    log_days: float
    checkpoints: int
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    upload_seconds: float = FORGOTTEN_SECONDS


class Retention:
    """One pass removes up to a batch of each kind; what fails is there again at the next one."""

    def __init__(
        self,
        *,
        store: RetentionStore,
        uploads: UploadStore,
        objects: ObjectStore,
        clock: Clock,
        terms: Terms,
    ) -> None:
        self._store = store
        self._uploads = uploads
        self._objects = objects
        self._clock = clock
        self._terms = terms
        self._swept: float | None = None

    async def once(self) -> None:
        """Remove what is due."""
        terms = self._terms
        keys = await self._store.clear_keys(limit=BATCH * 10)
        FORGOTTEN.labels("idempotency_key").inc(keys)
        streams = await self._store.clear_chunks(
            after_seconds=terms.log_days * DAY_SECONDS, limit=BATCH
        )
        FORGOTTEN.labels("log_stream").inc(streams)
        await self._forget_uploads()
        for checkpoint in await self._store.old_checkpoints(
            keep=terms.checkpoints, limit=BATCH, after_seconds=terms.checkpoint_seconds
        ):
            await self._forget(checkpoint)
        await self._remove(Kept.CODE, terms.code_days)
        await self._remove(Kept.FILES, terms.artifact_days)
        await self._sweep()

    async def _forget_uploads(self) -> None:
        """Forget what was asked for more than a day ago: the object first, then the row that knows of it."""
        terms = self._terms
        for upload in await self._uploads.old(after_seconds=terms.upload_seconds, limit=BATCH):
            await self._objects.delete(upload.object)
            await self._uploads.forget(upload.id)
            FORGOTTEN.labels("upload").inc()

    async def _forget(self, checkpoint: Checkpoint) -> None:
        for name in await self._objects.names(f"{checkpoint.object}/"):
            await self._objects.delete(name)
        await self._store.forget_checkpoint(checkpoint)
        FORGOTTEN.labels("checkpoint").inc()

    async def _remove(self, kept: Kept, days: float) -> None:
        for task_id in await self._store.due(kept, after_seconds=days * DAY_SECONDS, limit=BATCH):
            await remove(self._objects, task_id, kept)
            await self._store.gone(task_id, kept)
            FORGOTTEN.labels(kept.value).inc()

    async def _sweep(self) -> None:
        """Now and then: remove zips whose task was never made, and what came when its upload was forgotten."""
        now = self._clock.monotonic()
        if self._swept is not None and now - self._swept < SWEEP_SECONDS:
            return
        self._swept = now
        before = self._clock.now() - UPLOAD_AGE
        names: dict[str, list[str]] = {}
        for name in await self._objects.names(UPLOADED):
            names.setdefault(name.removeprefix(UPLOADED).partition("/")[0], []).append(name)
        old = [
            task_id for task_id in names if (made := made_at(task_id)) is not None and made < before
        ]
        for task_id in await self._store.unknown(old):
            for name in names[task_id]:
                await self._objects.delete(name)
            FORGOTTEN.labels("upload").inc()
        before = self._clock.now() - STRAY_AGE
        for name in await self._objects.names(SENT):
            if (sent := made_at(name)) is not None and sent < before:
                await self._objects.delete(name)
