"""What an entry of a zip holds, inflated and counted piece by piece."""

import zlib
from collections.abc import Callable, Iterator

from codexsys_adapters.zips.directory import Entry
from codexsys_adapters.zips.rules import ZipRefused

_CHUNK = 1 << 18

ReadAt = Callable[[int, int], bytes]
"""Returns at most so many of the zip's bytes from an offset on, none only at its end."""


def inflated(read_at: ReadAt, entry: Entry) -> Iterator[bytes]:
    """Inflate an entry; its size and checksum are checked against what really comes out."""
    size = crc = 0
    for chunk in _inflate(read_at, entry):
        size += len(chunk)
        crc = zlib.crc32(chunk, crc)
        if size > entry.size:
            raise ZipRefused(f"{entry.name!r} is larger than it says.")
        yield chunk
    if size != entry.size or crc != entry.crc:
        raise ZipRefused(f"{entry.name!r} is damaged (its checksum is wrong).")


def _inflate(read_at: ReadAt, entry: Entry) -> Iterator[bytes]:
    if entry.method == 0:
        yield from _raw(read_at, entry)
        return
    inflating = zlib.decompressobj(-15)
    try:
        for raw in _raw(read_at, entry):
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


def _raw(read_at: ReadAt, entry: Entry) -> Iterator[bytes]:
    at, end = entry.data, entry.data + entry.packed
    while at < end:
        chunk = read_at(min(_CHUNK, end - at), at)
        if not chunk:
            raise ZipRefused(f"{entry.name!r} is cut off.")
        at += len(chunk)
        yield chunk
