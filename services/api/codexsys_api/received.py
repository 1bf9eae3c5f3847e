"""Zips that came in, as files on this host's disk."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.datastructures import UploadFile

from codexsys_core.artifact import ObjectStore
from codexsys_core.errors import FieldError, Invalid, TooLarge
from codexsys_wiring.folders import Folders

PIECE = 1 << 20


@dataclass(frozen=True)
class Received:
    """A zip on this host's disk."""

    path: Path
    size: int
    sha256: str
    filename: str


@asynccontextmanager
async def received(part: UploadFile, *, folders: Folders, most: int) -> AsyncIterator[Received]:
    """Give an uploaded file a name on disk until the block ends."""
    with folders.work("upload") as place:
        path = place / "code.zip"
        size, sha256 = await asyncio.to_thread(_copy, part.file, path)
        if size == 0:
            said = "The zip is empty: it has 0 bytes."
            raise Invalid(said, code="zip_refused", fields=[FieldError("/file", said)])
        if size > most:
            raise too_large(most)
        yield Received(path, size, sha256, plain_name(part.filename))


@asynccontextmanager
async def fetched(
    name: str, filename: str, *, objects: ObjectStore, folders: Folders, most: int
) -> AsyncIterator[Received]:
    """Bring an object here, hashed on its way, until the block ends."""
    with folders.work("upload") as place:
        path, digest, size = place / "code.zip", hashlib.sha256(), 0
        with path.open("xb") as file:

            def take(piece: bytes) -> None:
                file.write(piece)
                digest.update(piece)

            async for piece in objects.stream(name):
                size += len(piece)
                if size > most:
                    raise too_large(most)
                await asyncio.to_thread(take, piece)
        yield Received(path, size, digest.hexdigest(), filename)


def too_large(most: int) -> TooLarge:
    """Return what to say of a zip that is larger than they may be."""
    return TooLarge(f"The zip is larger than {most:,} bytes.")


def plain_name(given: str | None) -> str:
    """Return a file's name without its folders and what cannot be shown, of a length that rows hold."""
    filename = (given or "").replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in filename if letter.isprintable())[:200] or "code.zip"


def _copy(source: BinaryIO, path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        while piece := source.read(PIECE):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
