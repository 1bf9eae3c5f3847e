"""Reads the directory of a zip strictly: what is in doubt is refused, never guessed."""

import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple

from codexsys_adapters.zips.ending import read_ending
from codexsys_adapters.zips.rules import ZipLimits, ZipRefused

_CENTRAL = struct.Struct("<4s6H3L5H2L")
LOCAL = struct.Struct("<4s5H3L2H")
_FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
ENCRYPTED = 0x1 | 0x40 | 0x2000
DESCRIPTOR = 0x8
PATCH = 0x20
_UTF8 = 0x800
_SIZES, _UNICODE_PATH, _STRONG, _AES = 0x1, 0x7075, 0x17, 0x9901
_DOS, _UNIX, _MACOS = 0, 3, 19
_WINDOWS = (_DOS, 10, 11, 14)
_DOS_FOLDER = 0x10
_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX


class Content(NamedTuple):
    """Where an entry's bytes are, and what must come of them."""

    data: int
    packed: int
    size: int
    crc: int
    method: int


@dataclass(frozen=True)
class Entry:
    """One entry as the central directory has it, held against its local header."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    mode: int
    """The Unix mode, 0 where the zip knows none."""
    windows: bool
    offset: int
    data: int = 0
    """Where its bytes begin."""
    end: int = 0
    """Where all that belongs to it ends."""

    @property
    def content(self) -> Content:
        """Return where its bytes are, and what must come of them."""
        return Content(self.data, self.packed, self.size, self.crc, self.method)

    @property
    def folder(self) -> bool:
        """Say whether it is a folder."""
        return self.name.endswith("/") or stat.S_ISDIR(self.mode)

    @property
    def link(self) -> bool:
        """Say whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


def read_directory(file: BinaryIO, limits: ZipLimits) -> list[Entry]:
    """Return all entries, checked for damage, encryption and overlap."""
    ending = read_ending(file)
    if ending.count > limits.entries:
        raise ZipRefused(f"The zip has {ending.count} entries; at most {limits.entries} are taken.")
    if ending.offset + ending.size != ending.at:
        raise ZipRefused("The zip's directory is not where it should be; the zip is damaged.")
    file.seek(ending.offset)
    raw = file.read(ending.size)
    entries = [_with_data(file, entry, ending.offset) for entry in _central(raw, ending.count)]
    _check_overlap(entries, ending.offset)
    return entries


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
    extra, host = _extra(raw_extra), made_by >> 8
    name = _slashed(_name(raw_name, flags, extra), windows=host in _WINDOWS)
    size, packed, offset = _wide(name, extra.get(_SIZES, b""), size, packed, offset)
    if flags & ENCRYPTED or extra.keys() & {_STRONG, _AES}:
        raise ZipRefused(f"{name!r} is encrypted.")
    if disk not in (0, _FULL16):
        raise ZipRefused("The zip is one part of several.")
    if method not in (0, 8) or flags & PATCH:
        raise ZipRefused(f"{name!r} is packed by method {method}; only deflate is known.")
    if method == 0 and packed != size:
        raise ZipRefused(f"The sizes of {name!r} contradict each other.")
    mode = _mode(name, host, external, size)
    return Entry(name, raw_name, flags, method, crc, packed, size, mode, host in _WINDOWS, offset)


def _mode(name: str, host: int, external: int, size: int) -> int:
    mode = external >> 16 if host in (_DOS, _UNIX, _MACOS) else 0
    kind = stat.S_IFMT(mode)
    # Some readers believe a mode that a zip of DOS should not have; whoever writes a link so has a reason.
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR) and (kind != stat.S_IFLNK or host == _DOS):
        raise ZipRefused(f"{name!r} is neither a file, a folder nor a link.")
    if mode & _BITS and kind != stat.S_IFDIR:
        raise ZipRefused(f"{name!r} has a setuid, setgid or sticky bit; make the zip without it.")
    if kind == 0 and external & _DOS_FOLDER and size == 0:
        return stat.S_IFDIR
    return 0 if host == _DOS and kind != stat.S_IFDIR else mode


def _extra(raw: bytes) -> dict[int, bytes]:
    """Read the extra fields; what does not fit is padding of some tool and is left alone."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(raw):
        kind, length = struct.unpack_from("<2H", raw, at)
        if kind in found and kind in (_SIZES, _UNICODE_PATH):
            raise ZipRefused("The zip gives sizes or names twice.")
        found[kind] = raw[at + 4 : at + 4 + length]
        at += 4 + length
    return found


def _name(raw: bytes, flags: int, extra: dict[int, bytes]) -> str:
    unicode_path = extra.get(_UNICODE_PATH, b"")
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


def _slashed(name: str, *, windows: bool) -> str:
    """Return the name with slashes where a tool of Windows wrote backslashes, as PowerShell 5 does."""
    return name.replace("\\", "/") if windows and "/" not in name else name


def _wide(name: str, extra: bytes, *narrow: int) -> list[int]:
    """Replace 32-bit fields that are full by their 64-bit values."""
    values = []
    for value in narrow:
        if value != FULL32:
            values.append(value)
        elif len(extra) < 8:
            raise ZipRefused(f"The 64-bit sizes of {name!r} are missing.")
        else:
            values.append(int.from_bytes(extra[:8], "little"))
            extra = extra[8:]
    return values


def _with_data(file: BinaryIO, entry: Entry, most: int) -> Entry:
    """Hold the entry against its local header, find where its bytes begin, and what follows them."""
    file.seek(min(entry.offset, most))
    raw = file.read(LOCAL.size)
    if len(raw) < LOCAL.size or raw[:4] != b"PK\x03\x04":
        raise ZipRefused(f"{entry.name!r} is not where the directory says.")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = LOCAL.unpack(raw)
    raw_name = file.read(name_length)
    extra = _extra(file.read(extra_length))
    local_name = _slashed(_name(raw_name, flags, extra), windows=entry.windows)
    size, packed = _wide(local_name, extra.get(_SIZES, b""), size, packed)
    said, meant = (crc, packed, size), (entry.crc, entry.packed, entry.size)
    if flags & DESCRIPTOR:  # then the truth follows the bytes, and the header may leave it open
        same = all(local in (0, central) for local, central in zip(said, meant, strict=True))
    else:
        same = said == meant
    same &= (raw_name, local_name, method) == (entry.raw_name, entry.name, entry.method)
    if not same or (flags ^ entry.flags) & (DESCRIPTOR | ENCRYPTED):
        raise ZipRefused(f"The two headers of {entry.name!r} contradict each other.")
    data = entry.offset + LOCAL.size + name_length + extra_length
    end = data + entry.packed
    if end > most:
        raise ZipRefused(f"{entry.name!r} is longer than the zip.")
    if flags & DESCRIPTOR:
        end += _descriptor(file, entry, end)
    return replace(entry, data=data, end=end)


def _descriptor(file: BinaryIO, entry: Entry, at: int) -> int:
    """Return the length of the descriptor behind an entry's bytes, which must say the same again."""
    file.seek(at)
    found = file.read(24)
    for form in ("<L2Q", "<3L"):
        if form == "<3L" and max(entry.packed, entry.size) > FULL32:
            continue
        plain = struct.pack(form, entry.crc, entry.packed, entry.size)
        for said in (b"PK\x07\x08" + plain, plain):
            if found.startswith(said):
                return len(said)
    if entry.size == 0:  # of what is empty some tools say nothing more
        return 0
    raise ZipRefused(f"What follows {entry.name!r} contradicts the directory.")


def _check_overlap(entries: list[Entry], end: int) -> None:
    at = 0
    for entry in sorted(entries, key=lambda entry: entry.offset):
        if entry.offset < at:
            raise ZipRefused(f"{entry.name!r} overlaps another entry.")
        at = entry.end
        if at > end:
            raise ZipRefused(f"{entry.name!r} is longer than the zip.")
