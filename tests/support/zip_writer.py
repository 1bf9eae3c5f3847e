"""Zips written byte by byte: as tools write them, and as none does, for each header field can be made to lie."""

import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

DOS, UNIX, NTFS, MACOS = 0, 3, 11, 19
STORED, DEFLATED = 0, 8
ENCRYPTED, DESCRIBED, PATCH, STRONG, UTF8, MASKED = 0x1, 0x8, 0x20, 0x40, 0x800, 0x2000
FULL16, FULL32 = 0xFFFF, 0xFFFFFFFF
FILE, FOLDER, LINK = 0o100644, 0o40755, 0o120777
_STAMP = (0x6000, 0x5821)
_LOCAL = ("needed", "flags", "method", "time", "date", "crc", "packed", "size", "name", "extra")
_CENTRAL = ("made_by", *_LOCAL, "comment", "disk", "internal", "external", "offset")
_END = ("disk", "first", "here", "count", "size", "offset", "comment")
_WIDE = ("rest", "made_by", "needed", "disk", "first", "here", "count", "size", "offset")

Lies = Mapping[str, int | bytes]


@dataclass(frozen=True)
class Part:
    """One entry; what `local`, `central` and `behind` (the descriptor) hold is said instead of the truth."""

    name: str | bytes
    content: bytes | str = b""
    method: int = DEFLATED
    flags: int = 0
    mode: int = FILE
    system: int = UNIX
    external: int | None = None
    extra: bytes = b""
    local_extra: bytes | None = None
    comment: bytes = b""
    wide: bool = False
    """Say the sizes with 64 bits, in an extra field."""
    signed: bool = True
    """Begin the descriptor, where there is one, with its signature."""
    body: bytes | None = None
    """What stands for the packed content."""
    local: Lies = field(default_factory=dict)
    central: Lies = field(default_factory=dict)
    behind: Lies = field(default_factory=dict)
    no_descriptor: bool = False

    @property
    def raw_name(self) -> bytes:
        """The name as it stands in the headers."""
        return self.name if isinstance(self.name, bytes) else self.name.encode()

    @property
    def raw(self) -> bytes:
        """The content as bytes."""
        return self.content if isinstance(self.content, bytes) else self.content.encode()

    @property
    def packed(self) -> bytes:
        """The content as it stands in the zip."""
        if self.body is not None:
            return self.body
        return deflated(self.raw) if self.method == DEFLATED else self.raw


def deflated(content: bytes) -> bytes:
    """Pack as zips do."""
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(content) + packing.flush()


def extra(kind: int, content: bytes) -> bytes:
    """Write an extra field."""
    return struct.pack("<2H", kind, len(content)) + content


def unicode_path(raw: bytes, meant: str) -> bytes:
    """Write the extra field that gives a name in UTF-8."""
    return extra(0x7075, struct.pack("<BL", 1, zlib.crc32(raw)) + meant.encode())


def written(
    *parts: Part,
    before: bytes = b"",
    between: bytes = b"",
    comment: bytes = b"",
    end: Lies | None = None,
    wide: Lies | None = None,
    locator: Lies | None = None,
) -> bytes:
    """Write a zip; `wide` and `locator` ask for the 64-bit records, and hold what these say falsely."""
    made, central = bytearray(before), bytearray()
    for part in parts:
        central += _central(part, len(made))
        made += _local(part) + part.packed + _descriptor(part) + between
    facts: dict[str, int | bytes] = {"disk": 0, "first": 0, "here": len(parts), "count": len(parts)}
    facts |= {"size": len(central), "offset": len(made), "comment": len(comment)}
    made += central
    if wide is not None or locator is not None:
        made += _wide_end(facts, len(made), wide or {}, locator or {})
        facts |= {"here": FULL16, "count": FULL16, "size": FULL32, "offset": FULL32}
    values = _values(_END, facts, end or {})
    return bytes(made) + struct.pack("<4s4H2LH", b"PK\x05\x06", *values) + comment


def _values(names: tuple[str, ...], facts: Lies, lies: Lies) -> list[int]:
    assert set(lies) <= {*names, "signature", "raw"}, lies
    told = {**facts, **lies}
    return [int(told[name]) for name in names]


def _facts(part: Part) -> dict[str, int | bytes]:
    time, date = _STAMP
    return {
        "needed": 45 if part.wide else 20,
        "flags": part.flags,
        "method": part.method,
        "time": time,
        "date": date,
        "crc": zlib.crc32(part.raw),
        "packed": len(part.packed),
        "size": len(part.raw),
        "name": len(part.raw_name),
    }


def _local(part: Part) -> bytes:
    facts = _facts(part)
    fields = part.extra if part.local_extra is None else part.local_extra
    sizes = struct.pack("<2Q", len(part.raw), len(part.packed))
    if part.flags & DESCRIBED:
        sizes = bytes(16)
        facts |= {"crc": 0, "packed": 0, "size": 0}
    if part.wide:
        fields += extra(1, sizes)
        facts |= {"packed": FULL32, "size": FULL32}
    values = _values(_LOCAL, facts | {"extra": len(fields)}, part.local)
    name = part.local.get("raw", part.raw_name)
    assert isinstance(name, bytes)
    signature = part.local.get("signature", b"PK\x03\x04")
    return struct.pack("<4s5H3L2H", signature, *values) + name + fields


def _descriptor(part: Part) -> bytes:
    if not part.flags & DESCRIBED or part.no_descriptor:
        return b""
    told = {**_facts(part), **part.behind}
    form = "<L2Q" if part.wide else "<3L"
    said = struct.pack(form, told["crc"], told["packed"], told["size"])
    return b"PK\x07\x08" + said if part.signed else said


def _central(part: Part, offset: int) -> bytes:
    facts, fields = _facts(part), part.extra
    if part.wide:
        fields += extra(1, struct.pack("<2Q", len(part.raw), len(part.packed)))
        facts |= {"packed": FULL32, "size": FULL32}
    external = part.mode << 16 if part.external is None else part.external
    facts |= {"made_by": part.system << 8 | 30, "extra": len(fields), "comment": len(part.comment)}
    facts |= {"disk": 0, "internal": 0, "external": external, "offset": offset}
    values = _values(_CENTRAL, facts, part.central)
    name = part.central.get("raw", part.raw_name)
    assert isinstance(name, bytes)
    signature = part.central.get("signature", b"PK\x01\x02")
    return struct.pack("<4s6H3L5H2L", signature, *values) + name + fields + part.comment


def _wide_end(facts: Lies, at: int, lies: Lies, locator: Lies) -> bytes:
    told = {**facts, "rest": 44, "made_by": 45, "needed": 45}
    values = _values(_WIDE, told, lies)
    record = struct.pack("<4sQ2H2L4Q", lies.get("signature", b"PK\x06\x06"), *values)
    where = _values(("disk", "at", "disks"), {"disk": 0, "at": at, "disks": 1}, locator)
    signature = locator.get("signature", b"PK\x06\x07")
    return record + struct.pack("<4sLQL", signature, *where)
