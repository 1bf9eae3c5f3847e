"""Reads the directory of a zip strictly: what is in doubt is refused, never guessed."""

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from codexsys_adapters.zips.rules import ZipLimits, ZipRefused

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_DESCRIPTOR = 0x8
_UTF8 = 0x800


@dataclass(frozen=True)
class Entry:
    """One entry as the central directory has it, held against its local header."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    """The Unix mode, 0 where the zip knows none."""
    offset: int
    data: int
    """Where its bytes begin."""

    @property
    def folder(self) -> bool:
        """Say whether it is a folder."""
        return self.name.endswith("/") or stat.S_ISDIR(self.mode)

    @property
    def link(self) -> bool:
        """Say whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


@dataclass(frozen=True)
class _End:
    count: int
    size: int
    offset: int
    at: int
    """Where the central directory must end."""


def read_directory(file: BinaryIO, limits: ZipLimits) -> list[Entry]:
    """Return all entries, checked for damage, encryption and overlap."""
    end = _end(file)
    if end.count > limits.entries:
        raise ZipRefused(f"The zip has {end.count} entries; at most {limits.entries} are taken.")
    if end.offset + end.size != end.at:
        raise ZipRefused("The zip's directory is not where it should be; the zip is damaged.")
    file.seek(end.offset)
    raw = file.read(end.size)
    entries = [_with_data(file, entry) for entry in _central(raw, end.count)]
    _check_overlap(entries, end.offset)
    return entries


def _end(file: BinaryIO) -> _End:
    length = file.seek(0, 2)
    if length == 0:
        raise ZipRefused("The file is empty.")
    start = max(0, length - _END.size - _FULL16)
    file.seek(start)
    tail = file.read()
    found = [at for at in _signatures(tail, b"PK\x05\x06") if _reaches_end(tail, at)]
    if not found:
        raise ZipRefused("The file is not a zip, or its end is missing.")
    if len(found) > 1:
        raise ZipRefused("The zip has more than one directory.")
    at = start + found[0]
    _, disk, first, here, count, size, offset, _ = _END.unpack_from(tail, found[0])
    if disk or first or here != count:
        raise ZipRefused("The zip is one part of several.")
    if count == _FULL16 or size == _FULL32 or offset == _FULL32:
        return _end64(file, at) or _End(count, size, offset, at)
    return _End(count, size, offset, at)


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


def _end64(file: BinaryIO, at: int) -> _End | None:
    if at < _LOCATOR.size:
        return None
    file.seek(at - _LOCATOR.size)
    signature, disk, where, disks = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if signature != b"PK\x06\x07":
        return None
    file.seek(where)
    record = file.read(_END64.size)
    if len(record) < _END64.size or record[:4] != b"PK\x06\x06" or disk or disks > 1:
        raise ZipRefused("The zip's 64-bit directory is damaged.")
    _, size64, _, _, disk, first, here, count, size, offset = _END64.unpack(record)
    if disk or first or here != count or where + 12 + size64 != at - _LOCATOR.size:
        raise ZipRefused("The zip's 64-bit directory is damaged.")
    return _End(count, size, offset, where)


def _central(raw: bytes, count: int) -> Iterator[Entry]:
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(raw) or raw[at : at + 4] != b"PK\x01\x02":
            raise ZipRefused("The zip's directory is damaged.")
        fields = _CENTRAL.unpack_from(raw, at)
        name_end = at + _CENTRAL.size + fields[10]
        extra_end = name_end + fields[11]
        name, extra = raw[at + _CENTRAL.size : name_end], raw[name_end:extra_end]
        at = extra_end + fields[12]
        if at > len(raw):
            raise ZipRefused("The zip's directory is damaged.")
        yield _entry(fields, name, extra)
    if at != len(raw):
        raise ZipRefused("The zip's directory holds more than it says.")


def _entry(fields: tuple[int, ...], raw_name: bytes, raw_extra: bytes) -> Entry:
    _, made_by, _, flags, method, _, _, crc, packed, size, _, _, _, disk, _, external, offset = (
        fields
    )
    extra = _extra(raw_extra)
    name = _name(raw_name, flags, extra)
    size, packed, offset = _wide(name, extra.get(1, b""), size, packed, offset)
    if flags & _ENCRYPTED:
        raise ZipRefused(f"{name!r} is encrypted.")
    if disk not in (0, _FULL16):
        raise ZipRefused("The zip is one part of several.")
    if method not in (0, 8):
        raise ZipRefused(f"{name!r} is packed by method {method}; only deflate is known.")
    if method == 0 and packed != size:
        raise ZipRefused(f"The sizes of {name!r} contradict each other.")
    mode = external >> 16 if made_by >> 8 in (3, 19) else 0
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
        raise ZipRefused(f"{name!r} is neither a file, a folder nor a link.")
    return Entry(name, flags, method, crc, packed, size, mode, offset, 0)


def _extra(raw: bytes) -> dict[int, bytes]:
    """Read the extra fields; what does not fit is padding of some tool and is left alone."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(raw):
        kind, length = struct.unpack_from("<2H", raw, at)
        if kind in found and kind == 1:
            raise ZipRefused("The zip gives sizes twice.")
        found[kind] = raw[at + 4 : at + 4 + length]
        at += 4 + length
    return found


def _name(raw: bytes, flags: int, extra: dict[int, bytes]) -> str:
    unicode_path = extra.get(0x7075, b"")
    if len(unicode_path) > 5 and unicode_path[0] == 1:
        (crc,) = struct.unpack_from("<L", unicode_path, 1)
        if crc == zlib.crc32(raw):
            raw, flags = unicode_path[5:], flags | _UTF8
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if flags & _UTF8:
            raise ZipRefused(f"The name {raw!r} is not UTF-8.") from error
        return raw.decode("cp437")


def _wide(name: str, extra: bytes, *narrow: int) -> list[int]:
    """Replace 32-bit fields that are full by their 64-bit values."""
    values = []
    for value in narrow:
        if value != _FULL32:
            values.append(value)
        elif len(extra) < 8:
            raise ZipRefused(f"The 64-bit sizes of {name!r} are missing.")
        else:
            values.append(int.from_bytes(extra[:8], "little"))
            extra = extra[8:]
    return values


def _with_data(file: BinaryIO, entry: Entry) -> Entry:
    """Hold the entry against its local header and find where its bytes begin."""
    file.seek(entry.offset)
    raw = file.read(_LOCAL.size)
    if len(raw) < _LOCAL.size or raw[:4] != b"PK\x03\x04":
        raise ZipRefused(f"{entry.name!r} is not where the directory says.")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(raw)
    raw_name = file.read(name_length)
    extra = _extra(file.read(extra_length))
    local_name = _name(raw_name, flags, extra)
    different = local_name != entry.name or method != entry.method or flags & _ENCRYPTED
    if not flags & _DESCRIPTOR:
        size, packed = _wide(local_name, extra.get(1, b""), size, packed)
        different |= (crc, packed, size) != (entry.crc, entry.packed, entry.size)
    if different:
        raise ZipRefused(f"The two headers of {entry.name!r} contradict each other.")
    data = entry.offset + _LOCAL.size + name_length + extra_length
    return Entry(**(vars(entry) | {"data": data}))


def _check_overlap(entries: list[Entry], end: int) -> None:
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < at:
            raise ZipRefused(f"{entry.name!r} overlaps another entry.")
        at = entry.data + entry.packed
        if at > end:
            raise ZipRefused(f"{entry.name!r} is longer than the zip.")
