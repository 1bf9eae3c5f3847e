"""Directories, narrow and wide, that are not what they say."""

import struct

from tests.support.zip_writer import (
    FULL16,
    FULL32,
    STORED,
    Part,
    deflated,
    extra,
    unicode_path,
    written,
)
from tests.unit.adapters.hostile_zips.case import Case
from tests.unit.adapters.hostile_zips.headers import mistold

END = "two ends"
WIDE = "64-bit"


def inside_out() -> bytes:
    """Write a zip of which one entry's bytes are a whole zip with an ending of its own."""
    return written(Part("a", "a"), comment=written(Part("b", "b")))


def shared(count: int) -> bytes:
    """Write a zip whose entries all have the same bytes."""
    return written(*(Part("a", bytes(1000), central={"offset": 0}) for _ in range(count)))


def nested(inner: bytes) -> bytes:
    """Write a zip whose first entry holds all of the second: headers and bytes."""
    whole = written(Part("in", inner))
    body = whole[: whole.index(b"PK\x01\x02")]
    host = Part("out", body, method=STORED)
    at = 30 + len("out")
    return written(host, Part("in", inner, body=deflated(inner), central={"offset": at}))


DIRECTORY: dict[str, Case] = {
    "empty": (b"", "The file is empty."),
    "no zip": (b"PK\x03\x04 and so on", "not a zip"),
    "another archive": (b"\x1f\x8b" + bytes(100), "not a zip"),
    "nothing in it": (written(), "holds no file"),
    "no end": (written(Part("a", "a"))[:-22], "not a zip"),
    "something behind": (written(Part("a", "a")) + b"x", "not a zip"),
    "an end in the comment": (inside_out(), "more than one directory"),
    "before it, something unsaid": (b"MZ" + written(Part("a", "a")), "not where it should be"),
    "of several parts": (written(Part("a", "a"), end={"disk": 1}), "several"),
    "begun in another part": (written(Part("a", "a"), end={"first": 1}), "several"),
    "an entry in another part": (mistold(disk=1), "several"),
    "fewer in this part": (written(Part("a", "a"), end={"here": 0}), "several"),
    "more than there are": (written(Part("a", "a"), end={"here": 2, "count": 2}), "damaged"),
    "fewer than there are": (
        written(Part("a", "a"), Part("b", "b"), end={"here": 1, "count": 1}),
        "more than it says",
    ),
    "none of those that are there": (
        written(Part("a", "a"), end={"here": 0, "count": 0}),
        "more than it says",
    ),
    "a directory that is longer": (written(Part("a", "a"), end={"size": 99}), "not where"),
    "a directory elsewhere": (written(Part("a", "a"), end={"offset": 1}), "not where"),
    "an entry of another kind": (mistold(signature=b"PK\x01\x03"), "damaged"),
    "a name beyond the directory": (mistold(name=FULL16), "damaged"),
    "bytes that two entries share": (shared(20), "overlaps"),
    "an entry inside another": (nested(b"y" * 100), "overlaps"),
    "an entry into the directory": (
        written(Part("a", "xx", local={"packed": 99}, central={"packed": 99})),
        "longer than the zip",
    ),
}
WIDE_LIES: dict[str, Case] = {
    "another count": (written(Part("a", "a"), wide={"here": 2, "count": 2}), "damaged"),
    "a count of part of it": (written(Part("a", "a"), wide={"here": 0}), WIDE),
    "a count that is no number of entries": (
        written(Part("a", "a"), wide={"here": 1 << 63, "count": 1 << 63}),
        "at most",
    ),
    "another place": (written(Part("a", "a"), wide={"offset": 3}), "not where"),
    "a place beyond": (written(Part("a", "a"), wide={"offset": 1 << 62}), "not where"),
    "another size": (written(Part("a", "a"), wide={"size": 1 << 40}), "not where"),
    "a record of another length": (written(Part("a", "a"), wide={"rest": 99}), WIDE),
    "no record": (written(Part("a", "a"), wide={"signature": b"PK\x06\x05"}), WIDE),
    "a record elsewhere": (written(Part("a", "a"), locator={"at": 0}), WIDE),
    "a record beyond": (written(Part("a", "a"), locator={"at": (1 << 64) - 1}), WIDE),
    "a record in another part": (written(Part("a", "a"), locator={"disk": 1}), WIDE),
    "records of several parts": (written(Part("a", "a"), locator={"disks": 2}), WIDE),
    "a narrow count that differs": (
        written(Part("a", "a"), wide={}, end={"count": 2, "here": 2}),
        END,
    ),
    "a narrow place that differs": (written(Part("a", "a"), wide={}, end={"offset": 1}), END),
    "full sizes without wide ones": (
        written(Part("a", "a", local={"size": FULL32}, central={"size": FULL32})),
        "64-bit sizes of 'a' are missing",
    ),
    "half a wide size": (
        written(Part("a", "a", extra=extra(1, bytes(4)), central={"size": FULL32})),
        "64-bit sizes of 'a' are missing",
    ),
    "wide sizes twice": (
        written(Part("a", "a", wide=True, extra=extra(1, struct.pack("<2Q", 1, 1)))),
        "sizes or names twice",
    ),
    "names in Unicode twice": (
        written(Part("a", "a", extra=unicode_path(b"a", "b") + unicode_path(b"a", "c"))),
        "sizes or names twice",
    ),
    "a wide size that is a bomb's": (
        written(
            Part(
                "a",
                "a",
                extra=extra(1, struct.pack("<Q", 1 << 50)),
                local={"size": FULL32},
                central={"size": FULL32},
            )
        ),
        "more than",
    ),
    "a wide offset beyond": (
        written(
            Part("a", "a", extra=extra(1, struct.pack("<Q", 1 << 63)), central={"offset": FULL32})
        ),
        "not where the directory says",
    ),
}
