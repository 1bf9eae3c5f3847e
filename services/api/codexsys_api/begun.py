"""A zip on its way into the store while it comes in and is looked through."""

import asyncio
from pathlib import Path
from time import monotonic

from codexsys_core.artifact import ObjectStore
from codexsys_core.growing import Growing

SECONDS = 600.0
"""A task's id tells when it was made: one that was chosen longer ago is not taken."""


class Begun:
    """Holds the put of one zip under its task's name: nothing is there until `finish`, and nothing ever after `end` alone."""

    def __init__(
        self, *, task_id: str, name: str, objects: ObjectStore, path: Path, size: int
    ) -> None:
        self.task_id = task_id
        self.growing = Growing(path, size)
        put = objects.put(name, self.growing, content_type="application/zip")
        self._putting = asyncio.ensure_future(put)
        self._until = monotonic() + SECONDS

    def suits(self, size: int) -> bool:
        """Say whether what has come in is what was begun, and lately."""
        return size == self.growing.size and monotonic() < self._until

    async def finish(self, sha256: str) -> None:
        """Have it stored whole; raises `Unavailable`."""
        self.growing.release(sha256)
        await asyncio.shield(self._putting)

    async def end(self) -> None:
        """Store no more of it, unless it was finished."""
        self.growing.give_up()
        self._putting.cancel()
        await asyncio.wait([self._putting])
        if not self._putting.cancelled():
            self._putting.exception()
