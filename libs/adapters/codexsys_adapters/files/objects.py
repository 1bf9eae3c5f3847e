"""Objects as files below one root, written whole or not at all."""

import asyncio
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from codexsys_adapters.files.links import FileLinks
from codexsys_core.artifact import BUCKETS, CODE_BUCKET, Link, UploadForm, split_name
from codexsys_core.clock import Clock
from codexsys_core.errors import Invalid, NotFound, Unavailable
from codexsys_core.growing import Growing

PIECE = 1 << 20
UNFINISHED = ".unfinished"


class FileObjects:
    """`ObjectStore` in a folder. `verify` is for the route that serves its links."""

    origin = ""

    def __init__(
        self, *, root: Path, public_url: str, secret_key: str | bytes, clock: Clock
    ) -> None:
        self._root = root
        self._links = FileLinks(public_url=public_url, secret_key=secret_key, clock=clock)

    async def put(
        self,
        name: str,
        data: bytes | Path | Growing,
        *,
        content_type: str = "application/octet-stream",
        sha256: str = "",
    ) -> tuple[int, str]:
        """Store and return (size, sha256); a file needs no content type: each link says it."""
        del content_type
        if isinstance(data, Growing):
            growing: Growing = data
            data, sha256 = await growing.whole()
        return await asyncio.to_thread(self._put, self._path(name), data, sha256)

    async def get(self, name: str) -> bytes:
        """Return a whole small object."""
        path = self._path(name)
        with _told():
            return await asyncio.to_thread(path.read_bytes)

    async def stream(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object in pieces."""
        path = self._path(name)
        with _told():
            file = await asyncio.to_thread(path.open, "rb")
        with file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece

    async def fetch(self, name: str, into: Path) -> None:
        """Write an object to a file."""
        path = self._path(name)
        with _told():
            await asyncio.to_thread(shutil.copyfile, path, into)

    async def delete(self, name: str) -> None:
        """Remove; no error when it is not there."""
        await asyncio.to_thread(self._delete, self._path(name))

    async def names(self, prefix: str) -> list[str]:
        """Return the names of objects that start so."""
        with _told():
            return await asyncio.to_thread(self._names, prefix)

    async def link(
        self, name: str, *, filename: str, content_type: str, seconds: int = 900
    ) -> Link:
        """Return a signed link that the API serves as an attachment."""
        return self._links.make(name, filename=filename, content_type=content_type, seconds=seconds)

    async def form(self, name: str, *, most_bytes: int, until: datetime) -> UploadForm:
        """Return a signed form that the API takes."""
        return self._links.form(name, most_bytes=most_bytes, until=until)

    async def take(self, name: str, into: str) -> int:
        """Give the file another name, too: a file is never written to, only put in another's place."""
        return await asyncio.to_thread(self._take, self._path(name), self._path(into))

    def verify_form(self, token: str) -> tuple[str, int]:
        """Return a form's (name, most bytes); `NotFound` when bad or expired."""
        return self._links.verify_form(token)

    def verify(self, token: str) -> tuple[str, str, str]:
        """Return a link's (name, filename, content type); `NotFound` when bad or expired."""
        return self._links.verify(token)

    async def ready(self) -> None:
        """Raise `Unavailable` unless a one-byte object can be written, read and removed."""
        name = f"{CODE_BUCKET}/ready/{uuid.uuid4().hex}"
        await self.put(name, b"1")
        await self.get(name)
        await self.delete(name)

    def _path(self, name: str) -> Path:
        bucket, key = split_name(name)
        return self._root / bucket / key

    def _put(self, path: Path, data: bytes | Path, known: str) -> tuple[int, str]:
        with _told(), self._unfinished() as unfinished:
            size, sha256 = _write(unfinished, data, known)
            _move(unfinished, path)
            return size, sha256

    def _take(self, path: Path, into: Path) -> int:
        with _told(), self._unfinished() as unfinished:
            _give_name(path, unfinished)
            _move(unfinished, into)
            return into.stat().st_size

    @contextmanager
    def _unfinished(self) -> Iterator[Path]:
        path = self._root / UNFINISHED / uuid.uuid4().hex
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _delete(self, path: Path) -> None:
        with _told():
            try:
                path.unlink(missing_ok=True)
            except (IsADirectoryError, NotADirectoryError):
                return  # a folder is no object
            with suppress(OSError):  # the first folder that is still in use ends the climb
                for folder in path.parents:
                    if folder.parent == self._root:
                        break
                    folder.rmdir()

    def _names(self, prefix: str) -> list[str]:
        bucket, _, key = prefix.partition("/")
        if bucket not in BUCKETS or ".." in key.split("/"):
            raise Invalid("That is not the start of an object's name.", code="bad_object_name")
        below = self._root / bucket / key.rpartition("/")[0]
        found = (
            Path(folder, name).relative_to(self._root).as_posix()
            for folder, _, files in os.walk(below, onerror=_unless_gone)
            for name in files
        )
        return sorted(name for name in found if name.startswith(prefix))


def _unless_gone(error: OSError) -> None:
    """Pass over a folder whose last object was deleted meanwhile."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


@contextmanager
def _told() -> Iterator[None]:
    """Turn what the file system says into our errors."""
    try:
        yield
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise NotFound("There is no such object.", code="object_not_found") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        said = "has no room left" if full else "does not answer"
        raise Unavailable(f"The object store {said}.", code="store_unavailable") from error


def _write(path: Path, data: bytes | Path, known: str) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for piece in _pieces(data):
            file.write(piece)
            if not known:
                digest.update(piece)
            size += len(piece)
        file.flush()
        os.fsync(file.fileno())
    return size, known or digest.hexdigest()


def _pieces(data: bytes | Path) -> Iterator[bytes]:
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        yield from _read(file)


def _read(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _give_name(path: Path, name: Path) -> None:
    """Give a file another name; a file whose last name goes meanwhile takes none, but its heir does."""
    while True:
        try:
            name.hardlink_to(path)
        except FileNotFoundError:
            if path.exists():
                continue
            raise
        except OSError:  # a file system without links
            shutil.copyfile(path, name)
        return


def _move(unfinished: Path, path: Path) -> None:
    """Put a finished file in its place, also while a delete clears empty folders away."""
    for last in (False, False, True):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.replace(path)
        except FileNotFoundError:
            if last:
                raise
            continue
        break
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
