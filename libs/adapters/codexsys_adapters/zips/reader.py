"""One reader for checking and for unpacking: the files of a zip, counted while they inflate."""

import os
import stat
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from codexsys_adapters.zips.contents import inflated
from codexsys_adapters.zips.directory import Content, Entry, read_directory
from codexsys_adapters.zips.rules import (
    ZipLimits,
    ZipRefused,
    check_amount,
    check_collisions,
    check_links,
    clean_name,
    without_wrapping,
)

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
        return inflated(self._read_at, entry)

    def check(self, seen: Collection[Content] = ()) -> None:
        """Read every file once that was not `seen`, large ones two at a time: inflating and adding up hold no lock."""
        entries = [file.entry for file in self.files if file.entry.content not in seen]
        large = [entry for entry in entries if entry.packed >= _LARGE]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            reading = [threads.submit(self._check, entry) for entry in large]
            try:
                for each in reading:
                    each.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)
        for entry in entries:
            if entry.packed < _LARGE:
                self._check(entry)

    def _read_at(self, size: int, at: int) -> bytes:
        return os.pread(self._file.fileno(), size, at)

    def _check(self, entry: Entry) -> None:
        for _ in self.read(entry):
            pass

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
