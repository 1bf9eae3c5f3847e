"""A zip on its way into the store while it comes in and is looked through."""

import asyncio
from pathlib import Path
from time import monotonic

from codexsys_core.artifact import ObjectStore
from codexsys_core.growing import GivenUp, Growing
from codexsys_core.source import ZipReader

SECONDS = 600.0
"""A task's id tells when it was made: one that was chosen longer ago is not taken."""


class Begun:
    """Holds the put of one zip under its task's name: nothing is there until `finish`, and nothing ever after `end` alone."""

    def __init__(
        self,
        *,
        task_id: str,
        name: str,
        objects: ObjectStore,
        zips: ZipReader,
        path: Path,
        size: int,
    ) -> None:
        self.task_id = task_id
        self._zips = zips
        self.growing = Growing(path, size)
        put = objects.put(name, self.growing, content_type="application/zip")
        self._putting = asyncio.ensure_future(put)
        self._vetting = asyncio.ensure_future(zips.vet(self.growing))
        self._until = monotonic() + SECONDS

    def suits(self, size: int) -> bool:
        """Say whether what has come in is what was begun, and lately."""
        return size == self.growing.size and monotonic() < self._until

    async def vetted(self) -> None:
        """Return once all of it was looked through; raises `Invalid` with what is wrong with it."""
        try:
            await asyncio.shield(self._vetting)
        except GivenUp:
            await self._zips.vet(self.growing.path)

    async def finish(self, sha256: str) -> None:
        """Have it stored whole; raises `Unavailable`."""
        self.growing.release(sha256)
        await asyncio.shield(self._putting)

    async def end(self) -> None:
        """Store no more of it, unless it was finished."""
        self.growing.give_up()
        under_way = [self._putting, self._vetting]
        for each in under_way:
            each.cancel()
        await asyncio.wait(under_way)
        for each in under_way:
            if not each.cancelled():
                each.exception()
