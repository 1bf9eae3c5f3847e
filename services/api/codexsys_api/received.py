"""Files that came in, on this host's disk: each is written and hashed once, while it comes."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from codexsys_api.begun import Begun
from codexsys_core.artifact import ObjectStore
from codexsys_core.errors import FieldError, Invalid, TooLarge
from codexsys_wiring.folders import Folders

BATCH = 1 << 20
"""What of a file is in memory before it is written; as much again while it is."""


@dataclass(frozen=True)
class Received:
    """A file on this host's disk."""

    path: Path
    size: int
    sha256: str
    filename: str
    """As its sender named it; empty where nobody chose one in a browser."""
    begun: Begun | None = None
    """Of one that is on its way into the store already."""


Begin = Callable[[Path, int], Begun]
"""Begins to store a file of this size that is still to come."""


class Arriving:
    """A file that a thread writes and hashes while more of it comes in."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun: Begun | None = None
        self._file = path.open("xb")
        self._digest, self._size = hashlib.sha256(), 0
        self._batch: list[bytes | memoryview] = []
        self._held = 0
        self._writing: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])
        if self._begun is not None:
            await self._begun.end()
        # Its folder goes first, and then only its name; a thread frees its bytes, for which nobody waits.
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.run_in_executor, None, self._close)

    def _close(self) -> None:
        with suppress(OSError):  # no room for its last bytes, of which nobody was told
            self._file.close()

    def begin(self, begin: Begin, size: int) -> None:
        """Store it while it comes in, if it is of this size; else that comes to nothing."""
        self._begun = begin(self._path, size)

    def take(self, piece: bytes | memoryview) -> None:
        """Hold a piece until `settle`."""
        self._batch.append(piece)
        self._held += len(piece)

    async def settle(self, least: int = BATCH) -> None:
        """When so much is held have it written, once the batch before it is."""
        if self._held < least:
            return
        await self._written()
        batch, self._batch, self._held = self._batch, [], 0
        self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, batch)

    async def whole(self, filename: str) -> Received:
        """Return it once all is written."""
        await self.settle(1)
        await self._written()
        await asyncio.to_thread(self._file.flush)
        begun = self._begun if self._begun and self._begun.suits(self._size) else None
        return Received(self._path, self._size, self._digest.hexdigest(), filename, begun)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None

    def _write(self, batch: list[bytes | memoryview]) -> None:
        for piece in batch:
            self._file.write(piece)
            self._size += len(piece)
        if self._begun is not None:
            self._file.flush()
            self._begun.growing.grew(self._size)
        for piece in batch:  # while others read what was written
            self._digest.update(piece)


@asynccontextmanager
async def fetched(
    name: str, filename: str, *, objects: ObjectStore, folders: Folders, most: int
) -> AsyncIterator[Received]:
    """Bring an object here until the block ends."""
    with folders.work("upload") as place:
        size = 0
        async with Arriving(place / "code.zip") as file:
            async for piece in objects.stream(name):
                size += len(piece)
                if size > most:
                    raise too_large(most)
                file.take(piece)
                await file.settle()
            arrived = await file.whole(filename)
        yield arrived


def zip_of(file: Received, most: int) -> Received:
    """Return a zip that came with a form, with a name that can be shown, or raise what is wrong with it."""
    if file.size == 0:
        said = "The zip is empty: it has 0 bytes."
        raise Invalid(said, code="zip_refused", fields=[FieldError("/file", said)])
    if file.size > most:
        raise too_large(most)
    return replace(file, filename=plain_name(file.filename))


def too_large(most: int) -> TooLarge:
    """Return what to say of a zip that is larger than they may be."""
    return TooLarge(f"The zip is larger than {most:,} bytes.")


def plain_name(given: str | None) -> str:
    """Return a file's name without its folders and what cannot be shown, of a length that rows hold."""
    filename = (given or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in filename if letter.isprintable())[:200] or "code.zip"
