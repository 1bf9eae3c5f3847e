"""A task's work so far, at any time: its change as `diff.patch`, its tree as a zip."""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary

from codexsys_core.artifact import Artifact, ArtifactStore, ObjectStore
from codexsys_core.checkpoint import Checkpoint, CheckpointStore
from codexsys_core.errors import Conflict, NotFound, Unavailable
from codexsys_core.patch import Patch, PatchBench, PatchRefused
from codexsys_core.task import Task
from codexsys_wiring.folders import Folders

AT_ONCE = 2
"""So many are made at the same time by one API, and one of a tenant: each has a git and a copy of the base."""
MOST_OPEN = 16
MOST_OPEN_OF_TENANT = 4
"""So many zips are sent at the same time; each takes disk until its reader has it."""
WAIT_SECONDS = 20.0
BUSY_SECONDS = 5
DIFF = "diff.patch"
_NO_MORE = "The task's source is no longer stored."


class Workspaces:
    """Makes both from the stored base and the last patch, on the trusted side.

    The patch is applied in an index only and the tree is read from the bare repository, so nothing is
    opened that sandboxed code could write. Where the task has no `diff.patch` of its own, since it is
    not over or ended without a worker, its last checkpoint stands for it.
    """

    def __init__(
        self,
        *,
        checkpoints: CheckpointStore,
        artifacts: ArtifactStore,
        objects: ObjectStore,
        bench: PatchBench,
        folders: Folders,
        most_bytes: int,
    ) -> None:
        self._checkpoints = checkpoints
        self._artifacts = artifacts
        self._objects = objects
        self._bench = bench
        self._folders = folders
        self._most_bytes = most_bytes
        self._benches = asyncio.Semaphore(AT_ONCE)
        self._tenants: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._open: Counter[str] = Counter()

    async def files(self, task: Task) -> list[Artifact]:
        """Return the task's files by name, with the change as it is by now."""
        stored = await self._artifacts.of_task(task.id)
        if any(each.name == DIFF for each in stored):
            return stored
        change = await self._so_far(task)
        return sorted([*stored, *change], key=lambda each: each.name)

    @asynccontextmanager
    async def zipped(self, task: Task) -> AsyncIterator[BinaryIO]:
        """Open the tree with the change as a zip; its name is gone from the disk already."""
        tenant = task.tenant_id
        if self._open[tenant] >= MOST_OPEN_OF_TENANT or self._open.total() >= MOST_OPEN:
            raise _busy()
        self._open[tenant] += 1
        try:
            with await self._zip(task) as file:
                yield file
        finally:
            self._open -= Counter([tenant])  # and forgets whoever has none left

    async def _zip(self, task: Task) -> BinaryIO:
        async with self._on_base(task) as base:
            try:
                change = await self._bench.apply(base, await self._last_patch(task))
            except PatchRefused as refusal:
                raise Conflict(str(refusal), code="change_refused") from refusal
            into = base.with_name("workspace.zip")
            await self._bench.archive(base, change.tree, into, most_bytes=self._most_bytes)
            return await asyncio.to_thread(into.open, "rb")

    async def _so_far(self, task: Task) -> list[Artifact]:
        """Return the last checkpoint's change, if there is one that can be taken."""
        checkpoint = await self._checkpoints.last(task.id)
        if checkpoint is None or checkpoint.patch_size == 0 or task.base is None:
            return []
        try:
            note = await self._objects.get(_note(checkpoint))
        except NotFound:
            return await self._made(task, checkpoint)
        return [Artifact.model_validate_json(note)] if note else []

    async def _made(self, task: Task, checkpoint: Checkpoint) -> list[Artifact]:
        """Make the change from the checkpoint, once; it is stored beside it, and goes with it."""
        try:
            async with self._on_base(task) as base:
                patch = await self._objects.get(f"{checkpoint.object}/patch")
                change: Patch | None = await self._bench.apply(base, patch)
        except PatchRefused:
            change = None
        except NotFound:
            return []
        if change is None or change.empty:
            await self._objects.put(_note(checkpoint), b"")
            return []
        name = f"{checkpoint.object}/{DIFF}"
        size, sha256 = await self._objects.put(name, change.diff, content_type="text/plain")
        artifact = Artifact(name=DIFF, object=name, size=size, sha256=sha256)
        await self._objects.put(_note(checkpoint), artifact.model_dump_json().encode())
        return [artifact]

    async def _last_patch(self, task: Task) -> bytes:
        """Return the task's own result, else its last checkpoint; empty when nothing was changed."""
        for artifact in await self._artifacts.of_task(task.id):
            if artifact.name == DIFF:
                return await self._objects.get(artifact.object)
        checkpoint = await self._checkpoints.last(task.id)
        if checkpoint is None or checkpoint.patch_size == 0:
            return b""
        return await self._objects.get(f"{checkpoint.object}/patch")

    @asynccontextmanager
    async def _on_base(self, task: Task) -> AsyncIterator[Path]:
        """Lay the base out in a folder of its own until the block ends."""
        name = _stored_base(task)
        async with self._bench_of(task.tenant_id):
            folder = await asyncio.to_thread(self._folders.new, "workspace")
            try:
                archive, base = folder / "base.tar.gz", folder / "base.git"
                await self._fetch(name, archive)
                await self._bench.unpack(archive, base)
                yield base
            finally:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _fetch(self, name: str, into: Path) -> None:
        try:
            await self._objects.fetch(name, into)
        except NotFound:
            raise NotFound(_NO_MORE, code="workspace_not_found") from None

    @asynccontextmanager
    async def _bench_of(self, tenant: str) -> AsyncIterator[None]:
        """Wait for a place, first among those of the same tenant."""
        own = self._tenants.setdefault(tenant, asyncio.Lock())
        async with AsyncExitStack() as held:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await held.enter_async_context(own)
                    await held.enter_async_context(self._benches)
            except TimeoutError:
                raise _busy() from None
            yield


def _busy() -> Unavailable:
    return Unavailable(
        "Many workspaces are being made or sent now; ask again in a moment.",
        code="workspaces_busy",
        retry_after=BUSY_SECONDS,
    )


def _note(checkpoint: Checkpoint) -> str:
    """Return the object that says what came of a checkpoint's patch; empty: nothing to hand out."""
    return f"{checkpoint.object}/diff.json"


def _stored_base(task: Task) -> str:
    if task.base is not None and task.base.object is not None:
        return task.base.object
    if task.status.terminal:
        raise NotFound("This task ended before its source was fetched.", code="workspace_not_found")
    raise Conflict(
        "The task's source is not fetched yet; ask again once it runs.",
        code="workspace_not_ready",
        retry_after=2,
    )
