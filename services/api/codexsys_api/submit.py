"""From a request to a stored task: checks, the upload's way, and the announcement in the background."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from starlette.datastructures import UploadFile

from codexsys_api.announce import Announcer
from codexsys_api.bodies import CreateTask, RetryTask
from codexsys_api.environments import Environments
from codexsys_api.idempotency import promised
from codexsys_core.announcement import TaskRecord
from codexsys_core.artifact import CODE_BUCKET
from codexsys_core.attempt import Attempt
from codexsys_core.errors import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    PlatformError,
    TooLarge,
    Unavailable,
)
from codexsys_core.idempotency import Idempotency
from codexsys_core.principal import Principal
from codexsys_core.ready import turn_at
from codexsys_core.secret import SecretUnreadable
from codexsys_core.source import GitSource, Source, SourceFailure, TaskSource, ZipSource
from codexsys_core.task import Task, TaskSpec
from codexsys_wiring.folders import Folders
from codexsys_wiring.platform import Platform

PIECE = 1 << 20


@dataclass(frozen=True)
class Upload:
    """A zip on this host's disk."""

    path: Path
    size: int
    sha256: str
    filename: str


class Submitter:
    """Makes tasks. `close` waits a moment for announcements under way; the relay makes up for others."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._announcer = Announcer(queue=platform.queue, outbox=platform.outbox)
        self._environments = Environments(platform)

    async def create(
        self,
        principal: Principal,
        body: CreateTask,
        *,
        upload: Upload | None = None,
        key: str | None = None,
    ) -> Task:
        """Store a task, or return the one that was made with the same key."""
        _check(body, upload)
        sha256 = upload.sha256 if upload else ""
        idempotency = promised(key, body, self._platform.secrets, file_sha256=sha256)
        if idempotency and (
            known := await self._platform.tasks.known(principal.tenant_id, idempotency)
        ):
            return known
        if upload is not None:
            await self._vet_zip(upload.path)
            return await self._create_zip(principal, body, upload, idempotency)
        source, task_id = await self._source(principal, body), self._platform.ids.new("task")
        task = self._task(principal, await self._spec(principal, body, source, task_id), task_id)
        return await self._add(task, idempotency)

    async def check(
        self, principal: Principal, body: CreateTask, *, upload: Upload | None = None
    ) -> dict[str, Any]:
        """Try the source and make nothing."""
        _check(body, upload)
        await self._environments.copied(principal, body.environment, row="check")
        if upload is not None:
            await self._vet_zip(upload.path)
            return {"ok": True, "source": {"sha256": upload.sha256, "size": upload.size}}
        source = await self._source(principal, body)
        if not isinstance(source, GitSource):
            return {"ok": True, "source": {"task": source.task_id}}
        try:
            commit = await self._platform.git.resolve(source, tenant=principal.tenant_id)
        except SourceFailure as failure:
            pointer = "/source/git/ref" if failure.reason == "ref_not_found" else "/source/git/url"
            fields = [FieldError(pointer, failure.detail)]
            raise Invalid(failure.detail, code=str(failure.reason), fields=fields) from failure
        return {"ok": True, "source": {"url": source.url, "commit": commit}}

    async def retry(
        self, principal: Principal, task_id: str, body: RetryTask, *, key: str | None = None
    ) -> Task:
        """Make a new task of a terminal one, from its last checkpoint unless told otherwise."""
        idempotency = promised(key, body, self._platform.secrets, about=(task_id,))
        if idempotency and (
            known := await self._platform.tasks.known(principal.tenant_id, idempotency)
        ):
            return known
        old = await self._platform.tasks.get(task_id, tenant_id=principal.tenant_id)
        if not old.status.terminal:
            raise Conflict("This task is not over yet; cancel it first.", code="task_not_over")
        if old.deleted_at is not None:
            raise Conflict(
                "This task was deleted; nothing is left to try again.", code="task_deleted"
            )
        task_id = self._platform.ids.new("task")
        try:
            moved = old.spec.environment.moved(self._platform.secrets, row=old.id, to=task_id)
        except SecretUnreadable as error:
            raise Conflict(error.message, code=error.code) from error
        changes = {"environment": moved, "start_from": body.start_from}
        limits = {} if body.limits is None else {"limits": body.limits}
        spec = old.spec.model_copy(update=changes | limits)
        return await self._add(self._task(principal, spec, task_id, retry_of=old.id), idempotency)

    async def close(self) -> None:
        """Wait a moment for announcements under way."""
        await self._announcer.close()

    async def _create_zip(
        self,
        principal: Principal,
        body: CreateTask,
        upload: Upload,
        idempotency: Idempotency | None,
    ) -> Task:
        task_id = self._platform.ids.new("task")
        name = f"{CODE_BUCKET}/tmp_zips/{task_id}/code.zip"  # noqa: S108 - an object, not a path
        source = ZipSource(
            object=name, sha256=upload.sha256, size=upload.size, filename=upload.filename
        )
        task = self._task(principal, await self._spec(principal, body, source, task_id), task_id)
        objects = self._platform.objects
        await objects.put(name, upload.path, content_type="application/zip")
        try:
            stored = await self._add(task, idempotency)
        except Unavailable:
            # It may have been stored all the same, and then it needs its zip. One whose task was
            # never made is removed by a relay, as is that of a request which is given up here.
            raise
        except PlatformError:
            await objects.delete(name)
            raise
        if stored.id != task_id:
            with suppress(Unavailable):
                await objects.delete(name)
        return stored

    async def _source(self, principal: Principal, body: CreateTask) -> GitSource | TaskSource:
        given = body.source
        if given is not None and given.git is not None:
            git = given.git
            return GitSource(url=self._vet(git.url), ref=git.ref, submodules=git.submodules)
        task_id = given.task if given is not None else None
        try:
            earlier = await self._platform.tasks.get(task_id or "", tenant_id=principal.tenant_id)
        except NotFound as error:
            raise _wrong(
                "/source/task", "There is no such task.", code="source_task_not_found"
            ) from error
        if not earlier.status.terminal:
            raise _wrong("/source/task", "This task is not over yet.", code="source_task_not_over")
        if earlier.deleted_at is not None:
            raise _wrong("/source/task", "This task was deleted.", code="source_task_deleted")
        return TaskSource(task_id=earlier.id)

    async def _vet_zip(self, file: Path) -> None:
        try:
            await self._platform.zips.vet(file)
        except Invalid as error:
            raise _wrong("/file", error.message, code=error.code) from error

    def _vet(self, url: str) -> str:
        try:
            return self._platform.git.vet(url)
        except Invalid as error:
            raise _wrong("/source/git/url", error.message, code=error.code) from error

    async def _spec(
        self, principal: Principal, body: CreateTask, source: Source, task_id: str
    ) -> TaskSpec:
        # Each field is a validated noun already.
        fields = {name: getattr(body, name) for name in CreateTask.model_fields}
        environment = await self._environments.copied(principal, body.environment, row=task_id)
        fields |= {"source": source, "environment": environment}
        if environment.checks is not None and "checks" not in body.model_fields_set:
            fields["checks"] = environment.checks
        return TaskSpec(**fields)

    def _task(
        self, principal: Principal, spec: TaskSpec, task_id: str, *, retry_of: str | None = None
    ) -> Task:
        return Task(
            id=task_id,
            tenant_id=principal.tenant_id,
            created_by=principal.key_id,
            spec=spec,
            retry_of=retry_of,
            created_at=self._platform.clock.now(),
        )

    async def _add(self, task: Task, idempotency: Idempotency | None) -> Task:
        attempt = Attempt(
            id=self._platform.ids.new("att"), task_id=task.id, tenant_id=task.tenant_id
        )
        stored = await self._platform.tasks.add(task, attempt, idempotency)
        if stored.id == task.id:
            self._announcer.announce(_record(stored))
        return stored


@asynccontextmanager
async def received(part: UploadFile, *, folders: Folders, most: int) -> AsyncIterator[Upload]:
    """Give an uploaded file a name on disk until the block ends."""
    with folders.work("upload") as place:
        path = place / "code.zip"
        size, sha256 = await asyncio.to_thread(_copy, part.file, path)
        if size == 0:
            raise _wrong("/file", "The zip is empty: it has 0 bytes.", code="zip_refused")
        if size > most:
            raise TooLarge(f"The zip is larger than {most:,} bytes.")
        filename = (part.filename or "code.zip").replace("\\", "/").rpartition("/")[2][:200]
        yield Upload(path=path, size=size, sha256=sha256, filename=filename or "code.zip")


def _copy(source: BinaryIO, path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        while piece := source.read(PIECE):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def _check(body: CreateTask, upload: Upload | None) -> None:
    given = body.source
    if upload is not None and given is not None:
        raise _wrong("/source", "The part `file` is the source; leave this out.")
    named = [given.git, given.task] if given is not None else []
    if upload is None and sum(each is not None for each in named) != 1:
        raise _wrong(
            "/source", "Say where the code is: exactly one of git and task, or send a zip."
        )
    if body.engine == "command" and not (body.command or "").strip():
        raise _wrong("/command", "The engine `command` needs its script here.")
    if body.engine != "command" and body.command is not None:
        raise _wrong("/command", "Only the engine `command` takes a script.")


def _record(task: Task) -> TaskRecord:
    return TaskRecord(
        task_id=task.id,
        attempt=task.attempt,
        tenant_id=task.tenant_id,
        mode=task.spec.mode,
        source=_announced(task.spec.source),
        enqueued_at=task.created_at,
        turn_at=turn_at(task.created_at, task.spec.priority),
    )


def _announced(source: Source) -> dict[str, Any]:
    if isinstance(source, GitSource):
        return {"git": {"url": source.url, "ref": source.ref}}
    return {"object": source.object} if isinstance(source, ZipSource) else {"task": source.task_id}


def _wrong(pointer: str, detail: str, *, code: str = "invalid") -> Invalid:
    return Invalid(detail, code=code, fields=[FieldError(pointer, detail)])
