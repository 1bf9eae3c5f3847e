"""Finds the directory of a zip by the records at its end, which must all say the same."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from codexsys_adapters.zips.rules import ZipRefused

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class Ending:
    """Where the central directory is."""

    count: int
    size: int
    offset: int
    at: int
    """Where it must end."""


def read_ending(file: BinaryIO) -> Ending:
    """Return where the directory is; two records that contradict each other are refused."""
    start, tail = _tail(file)
    found = [at for at in _signatures(tail, b"PK\x05\x06") if _reaches_end(tail, at)]
    if not found:
        raise ZipRefused("The file is not a zip, or its end is missing.")
    if len(found) > 1:
        raise ZipRefused("The zip has more than one directory.")
    at = start + found[0]
    _, disk, first, here, count, size, offset, _ = _END.unpack_from(tail, found[0])
    if disk or first or here != count:
        raise ZipRefused("The zip is one part of several.")
    wide = _wide_ending(file, at)
    if wide is None:
        return Ending(count, size, offset, at)
    said = (
        (count, wide.count, _FULL16),
        (size, wide.size, _FULL32),
        (offset, wide.offset, _FULL32),
    )
    if any(narrow not in (full, value) for narrow, value, full in said):
        raise ZipRefused("The two ends of the zip contradict each other.")
    return wide


def _tail(file: BinaryIO) -> tuple[int, bytes]:
    length = file.seek(0, 2)
    if length == 0:
        raise ZipRefused("The file is empty.")
    start = max(0, length - _END.size - _FULL16)
    file.seek(start)
    return start, file.read()


def _signatures(data: bytes, signature: bytes) -> Iterator[int]:
    at = data.find(signature)
    while at >= 0:
        yield at
        at = data.find(signature, at + 1)


def _reaches_end(tail: bytes, at: int) -> bool:
    if at + _END.size > len(tail):
        return False
    comment: int = _END.unpack_from(tail, at)[7]
    return at + _END.size + comment == len(tail)


def _wide_ending(file: BinaryIO, at: int) -> Ending | None:
    if at < _LOCATOR.size:
        return None
    file.seek(at - _LOCATOR.size)
    signature, disk, where, disks = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if signature != b"PK\x06\x07":
        return None
    record = b""
    if where < at:
        file.seek(where)
        record = file.read(_END64.size)
    if len(record) < _END64.size or record[:4] != b"PK\x06\x06" or disk or disks > 1:
        raise ZipRefused("The zip's 64-bit directory is damaged.")
    _, size64, _, _, disk, first, here, count, size, offset = _END64.unpack(record)
    if disk or first or here != count or where + 12 + size64 != at - _LOCATOR.size:
        raise ZipRefused("The zip's 64-bit directory is damaged.")
    return Ending(count, size, offset, where)
