"""One reader for checking and for unpacking: the files of a zip, counted while they inflate."""

import os
import stat
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from codexsys_adapters.zips.directory import Entry, read_directory
from codexsys_adapters.zips.rules import (
    ZipLimits,
    ZipRefused,
    check_amount,
    check_collisions,
    check_links,
    clean_name,
    without_wrapping,
)

_CHUNK = 1 << 18
_LARGE = 1 << 20
_AT_ONCE = 2


@dataclass(frozen=True)
class ZipFile:
    """One file of the tree that the zip becomes."""

    path: str
    mode: str
    """As git writes it."""
    entry: Entry


class ZipTree:
    """The tree that a zip becomes; raises `ZipRefused` for what cannot become one.

    `__MACOSX/` is left out, and a single folder that holds everything is taken off.
    """

    def __init__(self, file: BinaryIO, limits: ZipLimits) -> None:
        self._file = file
        entries = read_directory(file, limits)
        check_amount(limits, sum(e.size for e in entries), sum(e.packed for e in entries))
        self.files = _files(entries)
        if not self.files:
            raise ZipRefused("The zip holds no file.")
        check_links({f.path: self._target(f.entry) for f in self.files if f.entry.link})

    def read(self, entry: Entry) -> Iterator[bytes]:
        """Inflate an entry; its size and checksum are checked against what really comes out."""
        size = crc = 0
        for chunk in self._inflate(entry):
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
            if size > entry.size:
                raise ZipRefused(f"{entry.name!r} is larger than it says.")
            yield chunk
        if size != entry.size or crc != entry.crc:
            raise ZipRefused(f"{entry.name!r} is damaged (its checksum is wrong).")

    def check(self) -> None:
        """Read every file once, large ones two at a time: inflating and adding up hold no lock."""
        large = [file.entry for file in self.files if file.entry.packed >= _LARGE]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            reading = [threads.submit(self._check, entry) for entry in large]
            try:
                for each in reading:
                    each.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
        for file in self.files:
            if file.entry.packed < _LARGE:
                self._check(file.entry)

    def _check(self, entry: Entry) -> None:
        for _ in self.read(entry):
            pass

    def _inflate(self, entry: Entry) -> Iterator[bytes]:
        if entry.method == 0:
            yield from self._raw(entry)
            return
        inflating = zlib.decompressobj(-15)
        try:
            for raw in self._raw(entry):
                left = raw
                while left:
                    if inflating.eof:
                        raise ZipRefused(f"{entry.name!r} has bytes after its end.")
                    yield inflating.decompress(left, _CHUNK)
                    left = inflating.unconsumed_tail or inflating.unused_data
            while not inflating.eof and (more := inflating.decompress(b"", _CHUNK)):
                yield more
        except zlib.error as error:
            raise ZipRefused(f"{entry.name!r} is damaged and cannot be unpacked.") from error
        if not inflating.eof:
            raise ZipRefused(f"{entry.name!r} is cut off.")

    def _raw(self, entry: Entry) -> Iterator[bytes]:
        at, end = entry.data, entry.data + entry.packed
        while at < end:
            chunk = os.pread(self._file.fileno(), min(_CHUNK, end - at), at)
            if not chunk:
                raise ZipRefused(f"{entry.name!r} is cut off.")
            at += len(chunk)
            yield chunk

    def _target(self, entry: Entry) -> str:
        if entry.size > 4096:
            raise ZipRefused(f"The link {entry.name!r} is too long.")
        try:
            return b"".join(self.read(entry)).decode()
        except UnicodeDecodeError as error:
            raise ZipRefused(f"The link {entry.name!r} is not UTF-8.") from error


def _files(entries: list[Entry]) -> list[ZipFile]:
    """Return the files by path, without wrapping, in the order of their names."""
    named, folders = [], []
    for entry in entries:
        path = clean_name(entry.name)
        if entry.folder and entry.size:
            raise ZipRefused(f"{entry.name!r} is a folder with contents.")
        if path.partition("/")[0] == "__MACOSX":
            continue
        if not entry.folder:
            named.append((path, entry))
        elif path:
            folders.append(path)
    check_collisions([path for path, _ in named], folders)
    wrapping = without_wrapping(path for path, _ in named)
    files = [ZipFile(path.removeprefix(wrapping), _mode(entry), entry) for path, entry in named]
    return sorted(files, key=lambda file: file.path.encode())


def _mode(entry: Entry) -> str:
    if entry.link:
        return "120000"
    return "100755" if entry.mode & stat.S_IXUSR else "100644"
