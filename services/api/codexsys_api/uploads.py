"""Places for zips that are sent to the store directly, and what was sent, taken out of its sender's reach."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from codexsys_api.bodies import CreateUpload
from codexsys_api.idempotency import promised
from codexsys_api.received import Received, fetched, plain_name
from codexsys_core.artifact import UploadForm
from codexsys_core.errors import Invalid, NotFound, PlatformError, TooLarge, Unavailable
from codexsys_core.principal import Principal
from codexsys_core.source import ZipSource
from codexsys_core.upload import Upload, unknown
from codexsys_wiring.folders import Folders
from codexsys_wiring.platform import Platform

AT_ONCE = 4
"""Zips that are copied and brought here at the same time; more would only keep the store from answering."""


class Uploads:
    """Makes places, and takes what was sent to them."""

    def __init__(self, platform: Platform, folders: Folders) -> None:
        self._platform = platform
        self._folders = folders
        self._free = asyncio.Semaphore(AT_ONCE)
        self.most_bytes = platform.settings.max_upload_mb << 20

    async def create(
        self, principal: Principal, body: CreateUpload, key: str | None = None
    ) -> tuple[Upload, UploadForm]:
        """Store a place and return it with the form that fills it; a known key gives the same place."""
        platform = self._platform
        upload = Upload(
            id=platform.ids.new("upl"),
            tenant_id=principal.tenant_id,
            created_by=principal.key_id,
            filename=plain_name(body.filename),
            created_at=platform.clock.now(),
        )
        stored = await platform.uploads.add(upload, promised(key, body, platform.secrets))
        form = await platform.forms.form(
            stored.object, most_bytes=self.most_bytes, until=stored.form_until
        )
        return stored, form

    async def find(self, principal: Principal, upload_id: str) -> Upload | None:
        """Return the caller's upload, used and old ones too."""
        return await self._platform.uploads.get(upload_id, tenant_id=principal.tenant_id)

    async def give_up(self, principal: Principal, upload_id: str) -> None:
        """Remove what was sent, and let no task be made of it any more."""
        upload = await self.find(principal, upload_id)
        # One that is just being made a task has its copy by now, or finds nothing to copy.
        if upload is not None and upload.task_id is None:
            await self._platform.objects.delete(upload.object)
        await self._platform.uploads.give_up(upload_id, tenant_id=principal.tenant_id)

    def usable(self, upload: Upload | None) -> Upload:
        """Return it, or raise `Invalid` with what is wrong with it."""
        if upload is None:
            raise unknown()
        upload.must_be_usable(self._platform.clock.now())
        return upload

    @asynccontextmanager
    async def looked_at(self, upload: Upload) -> AsyncIterator[Received]:
        """Bring what was sent here, and leave it where it is."""
        try:
            async with self._here(upload.object, upload) as zip_:
                yield zip_
        except NotFound as error:
            raise self._not_sent(upload) from error

    async def taken(
        self, upload: Upload, name: str, vet: Callable[[Path], Awaitable[None]]
    ) -> ZipSource:
        """Copy what was sent to a name that no form writes; exactly this copy is hashed and vetted.

        What is refused leaves no copy, and the upload as it was; another zip may be sent there.
        """
        async with self._free:
            return await self._taken(upload, name, vet)

    async def _taken(
        self, upload: Upload, name: str, vet: Callable[[Path], Awaitable[None]]
    ) -> ZipSource:
        try:
            await self._platform.forms.take(upload.object, name)
        except NotFound as error:
            raise self._not_sent(upload) from error
        try:
            async with self._here(name, upload) as zip_:
                await vet(zip_.path)
        except PlatformError as error:
            await self.leave(name)
            if isinstance(error, Invalid | TooLarge):
                await self._platform.uploads.refuse(upload.id, tenant_id=upload.tenant_id)
            raise
        return ZipSource(object=name, sha256=zip_.sha256, size=zip_.size, filename=upload.filename)

    async def leave(self, name: str) -> None:
        """Remove an object that nobody needs; a relay does it later where the store is away."""
        with suppress(Unavailable):
            await self._platform.objects.delete(name)

    @asynccontextmanager
    async def _here(self, name: str, upload: Upload) -> AsyncIterator[Received]:
        objects, filename = self._platform.objects, upload.filename
        async with fetched(
            name, filename, objects=objects, folders=self._folders, most=self.most_bytes
        ) as zip_:
            yield zip_

    def _not_sent(self, upload: Upload) -> PlatformError:
        return upload.not_sent(self._platform.clock.now())
