"""Tasks of zips: one that came with its form, and one that was sent to the store before."""

from contextlib import suppress
from pathlib import Path

from codexsys_api.begun import Begun
from codexsys_api.bodies import CreateTask
from codexsys_api.idempotency import promised
from codexsys_api.received import Received
from codexsys_api.submit.adding import Adding
from codexsys_api.submit.pointing import pointing
from codexsys_api.submit.wishes import Wishes
from codexsys_api.uploads import Uploads
from codexsys_core.errors import Invalid, PlatformError, Unavailable
from codexsys_core.idempotency import Idempotency
from codexsys_core.principal import Principal
from codexsys_core.retention import UPLOADED
from codexsys_core.source import ZipSource
from codexsys_core.task import Task, TaskSpec
from codexsys_core.upload import POINTER
from codexsys_wiring.platform import Platform


class ZipTasks:
    """Puts a zip in its place, where nobody else writes, and makes its task."""

    def __init__(
        self, platform: Platform, *, uploads: Uploads, wishes: Wishes, adding: Adding
    ) -> None:
        self._platform = platform
        self._uploads = uploads
        self._wishes = wishes
        self._adding = adding

    def begin(self, path: Path, size: int) -> Begun:
        """Store a zip for a new task while it comes in and is looked through; what is refused never is there."""
        platform, task_id = self._platform, self._platform.ids.new("task")
        return Begun(
            task_id=task_id,
            name=_zip_of(task_id),
            objects=platform.objects,
            zips=platform.zips,
            path=path,
            size=size,
        )

    async def of_received(
        self,
        principal: Principal,
        body: CreateTask,
        upload: Received,
        idempotency: Idempotency | None,
    ) -> Task:
        """Make a task of a zip that is here."""
        begun = upload.begun or self.begin(upload.path, upload.size)
        begun.growing.grew(upload.size)
        try:
            task_id, name = begun.task_id, _zip_of(begun.task_id)
            source = ZipSource(
                object=name, sha256=upload.sha256, size=upload.size, filename=upload.filename
            )
            spec = await self._wishes.spec(principal, body, source, task_id)
            with pointing("/file"):
                await begun.vetted()
            await begun.finish(upload.sha256)
            return await self._add(principal, spec, task_id, idempotency)
        finally:
            await begun.end()

    async def of_sent(
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
        spec = await self._wishes.spec(principal, body, nothing_yet, task_id)
        try:
            source = await self._uploads.taken(upload, name, self._vet_sent)
        except Invalid:
            now = await self._uploads.find(principal, upload_id)
            if now is None or now.task_id is None:
                raise
            return await self.of_sent(principal, body, upload_id, key)  # another was first
        spec = spec.model_copy(update={"source": source})
        made = await self._add(principal, spec, task_id, idempotency, upload_id=upload.id)
        await self._uploads.leave(upload.object)
        return made

    async def _vet_sent(self, file: Path) -> None:
        with pointing(POINTER):
            await self._platform.zips.vet(file)

    async def _add(
        self,
        principal: Principal,
        spec: TaskSpec,
        task_id: str,
        idempotency: Idempotency | None,
        *,
        upload_id: str | None = None,
    ) -> Task:
        """Store the task of a zip that is in its place, or take that away."""
        objects, name = self._platform.objects, _zip_of(task_id)
        try:
            stored = await self._adding.add(
                principal, spec, task_id, idempotency, upload_id=upload_id
            )
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


def _zip_of(task_id: str) -> str:
    return f"{UPLOADED}{task_id}/code.zip"
