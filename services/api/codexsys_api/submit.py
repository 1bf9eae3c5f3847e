"""From a request to a stored task: checks, the upload's way, and the announcement in the background."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from codexsys_api.announce import Announcer
from codexsys_api.begun import Begun
from codexsys_api.bodies import CreateTask, RetryTask
from codexsys_api.environments import Environments
from codexsys_api.idempotency import promised
from codexsys_api.looking import Looker
from codexsys_api.models import chosen, limited
from codexsys_api.received import Received
from codexsys_api.sources import ChecksFound
from codexsys_api.uploads import Uploads
from codexsys_core.announcement import TaskRecord
from codexsys_core.attempt import Attempt
from codexsys_core.environment import Environment
from codexsys_core.errors import (
    Conflict,
    FieldError,
    Invalid,
    NotFound,
    PlatformError,
    Unavailable,
)
from codexsys_core.idempotency import Idempotency
from codexsys_core.principal import Principal
from codexsys_core.ready import turn_at
from codexsys_core.retention import UPLOADED
from codexsys_core.secret import SecretUnreadable
from codexsys_core.source import GitSource, Source, SourceFailure, TaskSource, ZipSource
from codexsys_core.task import Task, TaskSpec
from codexsys_core.upload import POINTER
from codexsys_core.verdict import Checks
from codexsys_wiring.platform import Platform


class Submitter:
    """Makes tasks. `close` waits a moment for announcements under way; the relay makes up for others."""

    def __init__(self, platform: Platform, uploads: Uploads, looker: Looker) -> None:
        self._platform = platform
        self._uploads = uploads
        self._looker = looker
        self._announcer = Announcer(queue=platform.queue, outbox=platform.outbox)
        self._environments = Environments(platform)
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def create(
        self,
        principal: Principal,
        body: CreateTask,
        *,
        upload: Received | None = None,
        key: str | None = None,
    ) -> Task:
        """Store a task, or return the one that was made with the same key."""
        _check(body, upload)
        if sent := _sent(body):
            return await self._create_sent(principal, body, sent, key)
        sha256 = upload.sha256 if upload else ""
        idempotency = promised(key, body, self._platform.secrets, file_sha256=sha256)
        if idempotency is None:
            return await self._made(principal, body, upload, None)
        # Those of the same promise wait here for the first of them, and hold no connection each.
        same = (principal.tenant_id, idempotency.key)
        async with self._turns.setdefault(same, asyncio.Lock()):
            known = await self._platform.tasks.known(principal.tenant_id, idempotency)
            return known or await self._made(principal, body, upload, idempotency)

    async def _made(
        self,
        principal: Principal,
        body: CreateTask,
        upload: Received | None,
        idempotency: Idempotency | None,
    ) -> Task:
        if upload is not None:
            return await self._create_zip(principal, body, upload, idempotency)
        source, task_id = await self._source(principal, body), self._platform.ids.new("task")
        task = self._task(principal, await self._spec(principal, body, source, task_id), task_id)
        return await self._add(task, idempotency)

    async def check(
        self, principal: Principal, body: CreateTask, *, upload: Received | None = None
    ) -> dict[str, Any]:
        """Try the source and make nothing."""
        _check(body, upload)
        self._model(body)
        environment = await self._environments.copied(principal, body.environment, row="check")
        checks = _checks(body, environment) if body.mode != "explain" else None
        if upload is not None:
            return await self._checked_zip(upload, checks)
        if sent := _sent(body):
            usable = self._uploads.usable(await self._uploads.find(principal, sent))
            async with self._uploads.looked_at(usable) as zip_:
                return await self._checked_zip(zip_, checks, POINTER)
        source, tenant = await self._source(principal, body), principal.tenant_id
        if isinstance(source, GitSource):
            return await self._checked_git(source, checks, tenant)
        assert isinstance(source, TaskSource)  # noqa: S101 - a zip was answered above
        found = await self._looker.of_task(source, checks, tenant=tenant) if checks else None
        return _good({"task": source.task_id}, found)

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
        spec = old.spec.model_copy(update=changes | self._model_again(old.spec, body))
        return await self._add(self._task(principal, spec, task_id, retry_of=old.id), idempotency)

    def _model_again(self, old: TaskSpec, body: RetryTask) -> dict[str, Any]:
        """Return model and limits of a retry; both must still be what the platform can give."""
        catalogue = self._platform.catalogue
        if (model := old.model or catalogue.default) not in catalogue.models:
            raise Conflict(
                f"The model {model!r} of this task is no longer there; make a new task.",
                code="model_gone",
            )
        limits = body.limits or old.limits
        named = body.limits is None or "cost_usd" in body.limits.model_fields_set
        return {"model": model, "limits": limited(catalogue, model, limits, money_named=named)}

    async def close(self) -> None:
        """Wait a moment for announcements under way."""
        await self._announcer.close()

    async def _create_zip(
        self,
        principal: Principal,
        body: CreateTask,
        upload: Received,
        idempotency: Idempotency | None,
    ) -> Task:
        begun = upload.begun or self.begin(upload.path, upload.size)
        begun.growing.grew(upload.size)
        try:
            task_id, name = begun.task_id, _zip_of(begun.task_id)
            source = ZipSource(
                object=name, sha256=upload.sha256, size=upload.size, filename=upload.filename
            )
            spec = await self._spec(principal, body, source, task_id)
            with _at("/file"):
                await begun.vetted()
            await begun.finish(upload.sha256)
            return await self._add_zip(self._task(principal, spec, task_id), name, idempotency)
        finally:
            await begun.end()

    def begin(self, path: Path, size: int) -> Begun:
        """Store a zip for a new task while it comes in and is looked through; what is refused never is there."""
        task_id = self._platform.ids.new("task")
        platform, name = self._platform, _zip_of(task_id)
        return Begun(
            task_id=task_id,
            name=name,
            objects=platform.objects,
            zips=platform.zips,
            path=path,
            size=size,
        )

    async def _create_sent(
        self, principal: Principal, body: CreateTask, upload_id: str, key: str | None
    ) -> Task:
        """Make a task of what was sent to the store: once; what fails may be tried again."""
        # Asked for before the key: an upload that is seen to be used has written the key, too.
        found = await self._uploads.find(principal, upload_id)
        idempotency = promised(key, body, self._platform.secrets)
        if idempotency and (
            known := await self._platform.tasks.known(principal.tenant_id, idempotency)
        ):
            return known
        upload = self._uploads.usable(found)
        task_id = self._platform.ids.new("task")
        name = _zip_of(task_id)
        nothing_yet = ZipSource(object=name, sha256="", size=0, filename=upload.filename)
        spec = await self._spec(principal, body, nothing_yet, task_id)
        try:
            vet = partial(self._vet_zip, pointer=POINTER)
            source = await self._uploads.taken(upload, name, vet)
        except Invalid:
            now = await self._uploads.find(principal, upload_id)
            if now is None or now.task_id is None:
                raise
            return await self._create_sent(principal, body, upload_id, key)  # another was first
        task = self._task(principal, spec.model_copy(update={"source": source}), task_id)
        made = await self._add_zip(task, name, idempotency, upload_id=upload.id)
        await self._uploads.leave(upload.object)
        return made

    async def _add_zip(
        self,
        task: Task,
        name: str,
        idempotency: Idempotency | None,
        *,
        upload_id: str | None = None,
    ) -> Task:
        """Store the task of a zip that is in its place, or take that away."""
        objects = self._platform.objects
        try:
            stored = await self._add(task, idempotency, upload_id=upload_id)
        except Unavailable:
            # It may have been stored all the same, and then it needs its zip. One whose task was
            # never made is removed by a relay, as is that of a request which is given up here.
            raise
        except PlatformError:
            await objects.delete(name)
            raise
        if stored.id != task.id:
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

    async def _checked_git(
        self, source: GitSource, checks: Checks | None, tenant: str
    ) -> dict[str, Any]:
        try:
            commit = await self._platform.git.resolve(source, tenant=tenant)
            found = (
                await self._looker.of_git(source, commit, checks, tenant=tenant) if checks else None
            )
        except SourceFailure as failure:
            pointer = "/source/git/ref" if failure.reason == "ref_not_found" else "/source/git/url"
            fields = [FieldError(pointer, failure.detail)]
            raise Invalid(failure.detail, code=str(failure.reason), fields=fields) from failure
        return _good({"url": source.url, "commit": commit}, found)

    async def _checked_zip(
        self, upload: Received, checks: Checks | None, pointer: str = "/file"
    ) -> dict[str, Any]:
        await self._vet_zip(upload.path, pointer=pointer)
        found = await self._looker.of_zip(upload.path, checks) if checks else None
        return _good({"sha256": upload.sha256, "size": upload.size}, found)

    async def _vet_zip(self, file: Path, *, pointer: str = "/file") -> None:
        with _at(pointer):
            await self._platform.zips.vet(file)

    def _vet(self, url: str) -> str:
        with _at("/source/git/url"):
            return self._platform.git.vet(url)

    async def _spec(
        self, principal: Principal, body: CreateTask, source: Source, task_id: str
    ) -> TaskSpec:
        # Each field is a validated noun already.
        fields = {name: getattr(body, name) for name in CreateTask.model_fields}
        fields |= self._model(body)
        environment = await self._environments.copied(principal, body.environment, row=task_id)
        fields |= {"source": source, "environment": environment}
        fields["checks"] = _checks(body, environment)
        return TaskSpec(**fields)

    def _model(self, body: CreateTask) -> dict[str, Any]:
        """Return the task's model and the limits that can be kept with it; raises `Invalid`."""
        catalogue = self._platform.catalogue
        model = chosen(
            catalogue,
            named=body.model,
            mode="explain" if body.mode == "explain" else "modify",
            labels=body.labels,
            prompt=body.prompt,
            requirements=body.requirements,
        )
        named = "cost_usd" in body.limits.model_fields_set
        return {
            "model": model,
            "limits": limited(catalogue, model, body.limits, money_named=named),
        }

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

    async def _add(
        self, task: Task, idempotency: Idempotency | None, *, upload_id: str | None = None
    ) -> Task:
        attempt = Attempt(
            id=self._platform.ids.new("att"), task_id=task.id, tenant_id=task.tenant_id
        )
        stored = await self._platform.tasks.add(task, attempt, idempotency, upload_id=upload_id)
        if stored.id == task.id:
            self._announcer.announce(_record(stored))
        return stored


def _checks(body: CreateTask, environment: Environment) -> Checks:
    """Return how a change is checked: as the task says, else as its environment does."""
    if environment.checks is not None and "checks" not in body.model_fields_set:
        return environment.checks
    return body.checks


def _good(source: dict[str, Any], found: ChecksFound | None) -> dict[str, Any]:
    return {"ok": True, "source": source, "checks": found.model_dump() if found else None}


def _check(body: CreateTask, upload: Received | None) -> None:
    given = body.source
    if upload is not None and given is not None:
        raise _wrong("/source", "The part `file` is the source; leave this out.")
    named = [given.git, given.zip, given.task] if given is not None else []
    if upload is None and sum(each is not None for each in named) != 1:
        raise _wrong(
            "/source", "Say where the code is: exactly one of git, zip and task, or send a zip."
        )
    if body.engine == "command" and not (body.command or "").strip():
        raise _wrong("/command", "The engine `command` needs its script here.")
    if body.engine != "command" and body.command is not None:
        raise _wrong("/command", "Only the engine `command` takes a script.")


def _sent(body: CreateTask) -> str | None:
    """Return the id of the upload that the task is to be made of."""
    zip_ = body.source.zip if body.source is not None else None
    return zip_.upload_id if zip_ is not None else None


def _zip_of(task_id: str) -> str:
    return f"{UPLOADED}{task_id}/code.zip"


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


@contextmanager
def _at(pointer: str) -> Iterator[None]:
    """Say of what is invalid where it stands in the request."""
    try:
        yield
    except Invalid as error:
        raise _wrong(pointer, error.message, code=error.code) from error


def _wrong(pointer: str, detail: str, *, code: str = "invalid") -> Invalid:
    return Invalid(detail, code=code, fields=[FieldError(pointer, detail)])
