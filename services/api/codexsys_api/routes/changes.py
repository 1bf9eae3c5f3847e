"""Changes that pages show, read once: a large one is shown in many parts."""

import asyncio
from collections import OrderedDict

from codexsys_api.pages import diff
from codexsys_core.artifact import Artifact, ObjectStore

MOST = 2
"""So many are kept; the largest takes some 60 MB."""


class Changes:
    """Reads a `diff.patch`, one at a time; its object is written once, so what was read stays true."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._read: OrderedDict[str, diff.Diff] = OrderedDict()
        self._turn = asyncio.Lock()

    async def of(self, artifact: Artifact) -> diff.Diff:
        """Return what a patch says."""
        async with self._turn:
            found = self._read.get(artifact.object)
            if found is None:
                patch = await self._start(artifact)
                found = await asyncio.to_thread(diff.read, patch)
                self._read[artifact.object] = found
            self._read.move_to_end(artifact.object)
            while len(self._read) > MOST:
                self._read.popitem(last=False)
            return found

    async def _start(self, artifact: Artifact) -> bytes:
        """Return as much of a patch as is read, and a byte more where there is more."""
        found = bytearray()
        async for piece in self._objects.stream(artifact.object):
            found += piece
            if len(found) > diff.MAX_BYTES:
                break
        return bytes(found[: diff.MAX_BYTES + 1])
