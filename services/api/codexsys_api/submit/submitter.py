"""What makes tasks: of a request, and of a task that is over."""

import asyncio
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from codexsys_api.begun import Begun
from codexsys_api.bodies import CreateTask, RetryTask
from codexsys_api.idempotency import promised
from codexsys_api.looking import Looker
from codexsys_api.received import Received
from codexsys_api.submit.adding import Adding
from codexsys_api.submit.checking import Checking
from codexsys_api.submit.wishes import Wishes, check_form, sent_upload
from codexsys_api.submit.zips import ZipTasks
from codexsys_api.uploads import Uploads
from codexsys_core.errors import Conflict
from codexsys_core.idempotency import Idempotency
from codexsys_core.principal import Principal
from codexsys_core.secret import SecretUnreadable
from codexsys_core.task import Task
from codexsys_wiring.platform import Platform


class Submitter:
    """Makes tasks, and checks what they would be made of."""

    def __init__(self, platform: Platform, uploads: Uploads, looker: Looker) -> None:
        self._platform = platform
        self._wishes = Wishes(platform)
        self._adding = Adding(platform)
        self._zips = ZipTasks(platform, uploads=uploads, wishes=self._wishes, adding=self._adding)
        self._checking = Checking(platform, uploads=uploads, looker=looker, wishes=self._wishes)
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
        check_form(body, upload)
        if sent := sent_upload(body):
            return await self._zips.of_sent(principal, body, sent, key)
        sha256 = upload.sha256 if upload else ""
        idempotency = promised(key, body, self._platform.secrets, file_sha256=sha256)
        if idempotency is None:
            return await self._made(principal, body, upload, None)
        # Those of the same promise wait here for the first of them, and hold no connection each.
        same = (principal.tenant_id, idempotency.key)
        async with self._turns.setdefault(same, asyncio.Lock()):
            known = await self._platform.tasks.known(principal.tenant_id, idempotency)
            return known or await self._made(principal, body, upload, idempotency)

    async def check(
        self, principal: Principal, body: CreateTask, *, upload: Received | None = None
    ) -> dict[str, Any]:
        """Try the source and make nothing."""
        return await self._checking.check(principal, body, upload)

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
        spec = old.spec.model_copy(update=changes | self._wishes.model_again(old.spec, body))
        return await self._adding.add(principal, spec, task_id, idempotency, retry_of=old.id)

    def begin(self, path: Path, size: int) -> Begun:
        """Store a zip for a new task while it comes in and is looked through; what is refused never is there."""
        return self._zips.begin(path, size)

    async def close(self) -> None:
        """Wait a moment for announcements under way."""
        await self._adding.close()

    async def _made(
        self,
        principal: Principal,
        body: CreateTask,
        upload: Received | None,
        idempotency: Idempotency | None,
    ) -> Task:
        if upload is not None:
            return await self._zips.of_received(principal, body, upload, idempotency)
        task_id = self._platform.ids.new("task")
        source = await self._wishes.source(principal, body)
        spec = await self._wishes.spec(principal, body, source, task_id)
        return await self._adding.add(principal, spec, task_id, idempotency)
