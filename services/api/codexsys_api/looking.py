"""How a source would be checked, found out for somebody who has not submitted it yet."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from codexsys_api.sources import ChecksFound
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound, TooLarge
from codexsys_core.found_checks import FoundChecks, find_checks
from codexsys_core.source import GitSource, SourceFailure, TaskSource
from codexsys_core.verdict import Checks
from codexsys_wiring.folders import Folders
from codexsys_wiring.platform import Platform

LayOut = Callable[[Path], Awaitable[str]]
"""Makes a folder, which is not there yet, the bare git directory of a source; returns its tree."""
SECONDS = 60.0
"""What takes longer to fetch is not looked through: a task does that."""
AT_ONCE = 2


class Looker:
    """Lays a source out for a moment, where a worker would for long. Two at a time: it costs disk and time."""

    def __init__(self, platform: Platform, folders: Folders) -> None:
        self._platform = platform
        self._folders = folders
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def of_git(
        self, source: GitSource, commit: str, checks: Checks, *, tenant: str
    ) -> ChecksFound:
        """Fetch a commit and look through it; raises `SourceFailure`."""

        async def lay_out(into: Path) -> str:
            base = await self._platform.git.fetch(source, commit, into, tenant=tenant)
            return base.tree

        return await self._look(checks, lay_out)

    async def of_zip(self, file: Path, checks: Checks) -> ChecksFound:
        """Unpack a zip that was vetted."""

        async def lay_out(into: Path) -> str:
            return (await self._platform.zips.unpack(file, into)).tree

        return await self._look(checks, lay_out)

    async def of_task(self, source: TaskSource, checks: Checks, *, tenant: str) -> ChecksFound:
        """Look through the base of an earlier task, while it is stored."""
        earlier = await self._platform.tasks.get(source.task_id, tenant_id=tenant)
        base = earlier.base

        async def lay_out(into: Path) -> str:
            if base is None or base.object is None:
                raise NotFound("The earlier task has no stored source.")
            archive = into.with_suffix(".tar.gz")
            await self._platform.objects.fetch(base.object, archive)
            await self._platform.bench.unpack(archive, into)
            return base.tree

        return await self._look(checks, lay_out)

    async def _look(self, checks: Checks, lay_out: LayOut) -> ChecksFound:
        if checks.strategy == "skip" or checks.command is not None:
            command = None if checks.strategy == "skip" else checks.command
            return ChecksFound(command=command, strategy=checks.strategy)
        found, looked = None, True
        try:
            async with asyncio.timeout(SECONDS), self._turns:
                found = await self._found(lay_out)
        except (TimeoutError, TooLarge, NotFound):
            looked = False
        except SourceFailure as failure:
            if failure.reason is not EndReason.SOURCE_TOO_LARGE:
                raise
            looked = False
        return ChecksFound(
            command=found.command if found else None,
            found_in=found.place if found else None,
            strategy=checks.strategy,
            looked=looked,
        )

    async def _found(self, lay_out: LayOut) -> FoundChecks | None:
        bench = self._platform.bench
        with self._folders.work("look") as folder:
            base = folder / "base.git"
            tree = await lay_out(base)
            paths = await bench.paths(base, tree)
            return await find_checks(paths, lambda path: bench.read(base, tree, path))
