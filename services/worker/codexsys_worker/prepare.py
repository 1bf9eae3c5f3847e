"""Prepare: find the base once per task and store it. Credentials live only here."""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from codexsys_core.artifact import ArtifactStore
from codexsys_core.attempt import AttemptStore
from codexsys_core.checkpoint import Checkpoint, CheckpointStore
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound, TooLarge
from codexsys_core.found_checks import find_checks
from codexsys_core.patch import PatchBench
from codexsys_core.source import (
    Base,
    GitFetcher,
    GitSource,
    SourceFailure,
    TaskSource,
    ZipReader,
    ZipSource,
)
from codexsys_core.task import Task, TaskStore
from codexsys_worker.patience import PatientObjects
from codexsys_worker.work import Lost, Prepared, Work


@dataclass(frozen=True)
class _Earlier:
    """A checkpoint that is carried on, and the task that made it."""

    task: Task
    checkpoint: Checkpoint


class Preparer:
    """Lays the base down in the work's folder."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        tasks: TaskStore,
        objects: PatientObjects,
        artifacts: ArtifactStore,
        checkpoints: CheckpointStore,
        git: GitFetcher,
        zips: ZipReader,
        bench: PatchBench,
    ) -> None:
        self._attempts = attempts
        self._tasks = tasks
        self._objects = objects
        self._artifacts = artifacts
        self._checkpoints = checkpoints
        self._git = git
        self._zips = zips
        self._bench = bench

    async def prepare(self, work: Work) -> Prepared:
        """Fetch, unpack or take from the store; raises `SourceFailure`."""
        earlier = await self._carried_on(work)
        base = work.task.base
        if base is not None and base.object is not None:
            await self._restore(base.object, work)
        else:
            base = await self._found(work, earlier)
        try:
            await self._take_up(work, earlier)
        except NotFound:
            raise SourceFailure(
                EndReason.SOURCE_GONE, "The work so far is no longer stored."
            ) from None
        await self._look_for_checks(work, base.tree)
        setup = await self._bench.read(work.base_dir, base.tree, "setup.sh")
        return Prepared(base=base, has_setup=setup is not None)

    async def _look_for_checks(self, work: Work, tree: str) -> None:
        """Find how the base checks itself, if there is something to check and nobody says how."""
        spec = work.spec
        if spec.mode == "explain" or spec.checks.command or spec.checks.strategy == "skip":
            return
        with suppress(TooLarge):
            paths = await self._bench.paths(work.base_dir, tree)
            work.found = await find_checks(
                paths, lambda path: self._bench.read(work.base_dir, tree, path)
            )

    async def last_change(self, work: Work) -> Checkpoint | None:
        """Return the task's last checkpoint, if a file had been changed by then."""
        checkpoint = await self._checkpoints.last(work.task.id)
        return checkpoint if checkpoint and checkpoint.patch_size else None

    async def patch_of(self, work: Work, checkpoint: Checkpoint) -> bytes:
        """Return a checkpoint's patch, as hostile as it came."""
        return await self._objects.until(work.stop).get(f"{checkpoint.object}/patch")

    async def _found(self, work: Work, earlier: _Earlier | None) -> Base:
        base = await self._fetch(work, earlier)
        archive = work.folder / "base.tar.gz"
        await self._bench.pack(work.base_dir, archive)
        name = f"codexsys-code/processed_code/{work.task.id}/base.tar.gz"
        objects = self._objects.until(work.stop)
        await objects.put(name, archive, content_type="application/gzip")
        archive.unlink()
        stands = await self._attempts.set_base(work.hold, base.model_copy(update={"object": name}))
        if stands is None:
            raise Lost
        return stands

    async def _fetch(self, work: Work, earlier: _Earlier | None) -> Base:
        """Find the base; a checkpoint that is carried on needs the one that it was made on."""
        if earlier is not None and earlier.task.base and earlier.task.base.object:
            return await self._taken_from(earlier.task.base, earlier.task.base.object, work)
        source = work.spec.source
        if isinstance(source, GitSource):
            fetching = self._git.fetch(source, None, work.base_dir, tenant=work.task.tenant_id)
            return await work.unless_stopped(fetching)
        if isinstance(source, ZipSource):
            return await self._from_zip(source, work)
        return await self._from_task(source, work)

    async def _from_zip(self, source: ZipSource, work: Work) -> Base:
        file = work.folder / "code.zip"
        try:
            await self._objects.until(work.stop).fetch(source.object, file)
        except NotFound:
            raise SourceFailure(
                EndReason.SOURCE_GONE, "The uploaded zip is no longer stored."
            ) from None
        if await _sha256(file) != source.sha256:
            raise SourceFailure(
                EndReason.SOURCE_GONE, "The stored zip is not the one that was uploaded."
            )
        base = await self._zips.unpack(file, work.base_dir)
        file.unlink()
        return base

    async def _from_task(self, source: TaskSource, work: Work) -> Base:
        """Stand on the earlier task's base; its change is applied later, in the sandbox."""
        earlier = await self._tasks.get(source.task_id, tenant_id=work.task.tenant_id)
        if earlier.base is None or earlier.base.object is None:
            raise SourceFailure(EndReason.SOURCE_GONE, "The earlier task has no stored source.")
        return await self._taken_from(earlier.base, earlier.base.object, work)

    async def _taken_from(self, base: Base, name: str, work: Work) -> Base:
        await self._restore(name, work)
        return base.model_copy(update={"object": None})

    async def _restore(self, name: str, work: Work) -> None:
        archive = work.base_dir.with_suffix(".tar.gz")
        try:
            await self._objects.until(work.stop).fetch(name, archive)
        except NotFound:
            raise SourceFailure(
                EndReason.SOURCE_GONE, "The task's source is no longer stored."
            ) from None
        await self._bench.unpack(archive, work.base_dir)
        archive.unlink()

    async def _carried_on(self, work: Work) -> _Earlier | None:
        """Find the last checkpoint of this task, else of the one that it carries on, and so on back.

        An agent that lives has taken up what there was before its own.
        """
        task = work.task
        while (checkpoint := await self._checkpoints.last(task.id)) is None:
            if task.retry_of is None or task.spec.start_from == "source":
                return None
            task = await self._tasks.get(task.retry_of, tenant_id=task.tenant_id)
        earlier = _Earlier(task=task, checkpoint=checkpoint)
        return None if work.living and _is_of_its_agent(work, earlier) else earlier

    async def _take_up(self, work: Work, earlier: _Earlier | None) -> None:
        """Fetch what the agent, an earlier attempt or the task before had done so far."""
        if earlier is not None:
            objects = self._objects.until(work.stop)
            work.earlier_patch = await self.patch_of(work, earlier.checkpoint)
            if earlier.task.id == work.task.id:
                work.engine_state = await objects.get(f"{earlier.checkpoint.object}/state")
        elif isinstance(work.spec.source, TaskSource):
            work.earlier_patch = await self._result_of(work.spec.source.task_id, work)

    async def _result_of(self, task_id: str, work: Work) -> bytes:
        """Return a task's change; its last checkpoint's where it ended without a worker."""
        for artifact in await self._artifacts.of_task(task_id):
            if artifact.name == "diff.patch":
                return await self._objects.until(work.stop).get(artifact.object)
        checkpoint = await self._checkpoints.last(task_id)
        return await self.patch_of(work, checkpoint) if checkpoint else b""


def _is_of_its_agent(work: Work, earlier: _Earlier) -> bool:
    """Say whether this checkpoint is of the attempt's own sandbox."""
    made = (earlier.task.id, earlier.checkpoint.attempt, earlier.checkpoint.fence)
    return made == (work.task.id, work.hold.number, work.agent_fence)


async def _sha256(file: Path) -> str:
    def digest() -> str:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()

    return await asyncio.to_thread(digest)
