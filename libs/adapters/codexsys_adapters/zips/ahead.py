"""Looks through a zip that still comes in, entry after entry from its start.

This judges nothing. Where it is in doubt it goes no further, and what it has not seen is read once the
directory is there; what it has seen is named so exactly that the directory must mean the same bytes.
"""

import os
import select
from collections.abc import Iterator
from typing import BinaryIO

from codexsys_adapters.zips.contents import inflated
from codexsys_adapters.zips.directory import (
    DESCRIPTOR,
    ENCRYPTED,
    FULL32,
    LOCAL,
    PATCH,
    Content,
    Entry,
)
from codexsys_adapters.zips.rules import ZipLimits, ZipRefused, check_amount

STEP = 1 << 20
"""Each byte that is heard means that so many more of the file are there."""


class Arriving:
    """A file of which somebody else says, over a socket, how much can be read."""

    def __init__(self, file: BinaryIO, told: int, size: int) -> None:
        self._file, self._told, self._size = file, told, size
        self._there = 0

    def read_at(self, size: int, at: int) -> bytes:
        """Return so many bytes from an offset on, fewer only at the file's end; waits for them."""
        self._wait(min(at + size, self._size))
        return os.pread(self._file.fileno(), size, at)

    def whole(self) -> bool:
        """Say whether all of it is there by now."""
        while self._there < self._size and select.select([self._told], [], [], 0)[0]:
            self._hear()
        return self._there >= self._size

    def wait(self) -> None:
        """Return once all of it is there."""
        self._wait(self._size)

    def _wait(self, end: int) -> None:
        while self._there < end:
            self._hear()

    def _hear(self) -> None:
        steps = os.read(self._told, 1024)
        if not steps:
            raise EOFError("nobody waits for this any more")
        self._there += len(steps) * STEP


def look_ahead(arriving: Arriving, limits: ZipLimits) -> Iterator[Content]:
    """Yield what was read and found as it should be, until all of the file is there or one is in doubt."""
    size = packed = at = 0
    while not arriving.whole() and (entry := _entry(arriving, at)):
        size, packed, at = size + entry.size, packed + entry.packed, entry.data + entry.packed
        try:
            check_amount(limits, size, packed)
            for _ in inflated(arriving.read_at, entry):
                pass
        except ZipRefused:
            return
        yield entry.content


def _entry(arriving: Arriving, at: int) -> Entry | None:
    """Return the entry whose local header is there, if that says plainly where its bytes are."""
    raw = arriving.read_at(LOCAL.size, at)
    if len(raw) < LOCAL.size or raw[:4] != b"PK\x03\x04":
        return None
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = LOCAL.unpack(raw)
    odd = flags & (DESCRIPTOR | ENCRYPTED | PATCH) or method not in (0, 8)
    if odd or FULL32 in (packed, size) or (method == 0 and packed != size):
        return None
    data = at + LOCAL.size + name_length + extra_length
    return Entry("", b"", flags, method, crc, packed, size, 0, False, at, data)
