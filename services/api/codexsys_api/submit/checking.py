"""A source tried, and nothing made: `?check=true`."""

from typing import Any

from codexsys_api.bodies import CreateTask
from codexsys_api.looking import Looker
from codexsys_api.received import Received
from codexsys_api.sources import ChecksFound
from codexsys_api.submit.pointing import pointing
from codexsys_api.submit.wishes import Wishes, check_form, checks_of, sent_upload
from codexsys_api.uploads import Uploads
from codexsys_core.errors import FieldError, Invalid
from codexsys_core.principal import Principal
from codexsys_core.source import GitSource, SourceFailure
from codexsys_core.upload import POINTER
from codexsys_core.verdict import Checks
from codexsys_wiring.platform import Platform


class Checking:
    """Says whether a source can be used, and how a change to it would be checked."""

    def __init__(
        self, platform: Platform, *, uploads: Uploads, looker: Looker, wishes: Wishes
    ) -> None:
        self._platform = platform
        self._uploads = uploads
        self._looker = looker
        self._wishes = wishes

    async def check(
        self, principal: Principal, body: CreateTask, upload: Received | None
    ) -> dict[str, Any]:
        """Try the source; raises `Invalid` with what is wrong with it."""
        check_form(body, upload)
        self._wishes.model(body)
        environment = await self._wishes.environment(principal, body, row="check")
        checks = checks_of(body, environment) if body.mode != "explain" else None
        if upload is not None:
            return await self._zip(upload, checks, "/file")
        if sent := sent_upload(body):
            usable = self._uploads.usable(await self._uploads.find(principal, sent))
            async with self._uploads.looked_at(usable) as zip_:
                return await self._zip(zip_, checks, POINTER)
        source, tenant = await self._wishes.source(principal, body), principal.tenant_id
        if isinstance(source, GitSource):
            return await self._git(source, checks, tenant)
        found = await self._looker.of_task(source, checks, tenant=tenant) if checks else None
        return _good({"task": source.task_id}, found)

    async def _git(self, source: GitSource, checks: Checks | None, tenant: str) -> dict[str, Any]:
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

    async def _zip(self, upload: Received, checks: Checks | None, pointer: str) -> dict[str, Any]:
        with pointing(pointer):
            await self._platform.zips.vet(upload.path)
        found = await self._looker.of_zip(upload.path, checks) if checks else None
        return _good({"sha256": upload.sha256, "size": upload.size}, found)


def _good(source: dict[str, Any], found: ChecksFound | None) -> dict[str, Any]:
    return {"ok": True, "source": source, "checks": found.model_dump() if found else None}
