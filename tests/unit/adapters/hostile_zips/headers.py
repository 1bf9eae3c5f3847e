"""Entries of which two places say different things, or none of what is there."""

import zlib

from tests.support.zip_writer import (
    DESCRIBED,
    ENCRYPTED,
    STORED,
    UTF8,
    Part,
    deflated,
    unicode_path,
    written,
)
from tests.unit.adapters.hostile_zips.case import Case

TWO = "two headers"
OTHER = zlib.crc32(b"other")


def lying(**lies: int | bytes) -> bytes:
    """Write a zip whose second entry says something else in its local header."""
    return written(Part("ok.py", "x"), Part("a.py", "content", local=lies))


def mistold(**lies: int | bytes) -> bytes:
    """Write a zip whose directory says something else of its second entry."""
    return written(Part("ok.py", "x"), Part("a.py", "content", central=lies))


def streamed(**lies: int | bytes) -> bytes:
    """Write a zip whose second entry is followed by a descriptor that says something else."""
    return written(Part("ok.py", "x"), Part("a.py", "content", flags=DESCRIBED, behind=lies))


HEADERS: dict[str, Case] = {
    "another name": (lying(raw=b"b.py"), TWO),
    "a name that leads out": (lying(raw=b"../a", name=4), TWO),
    "another encoding of the name": (
        written(Part("é", "x", flags=UTF8, local={"flags": 0, "raw": b"\x82", "name": 1})),
        TWO,
    ),
    "another name in Unicode": (
        written(Part("a.py", "x", local_extra=unicode_path(b"a.py", "../a"))),
        TWO,
    ),
    "another method": (lying(method=STORED), TWO),
    "another checksum": (lying(crc=OTHER), TWO),
    "another size": (lying(size=8), TWO),
    "another packed size": (lying(packed=1), TWO),
    "encrypted in one": (lying(flags=ENCRYPTED), TWO),
    "a descriptor in one": (lying(flags=DESCRIBED), TWO),
    "a descriptor in the other": (mistold(flags=DESCRIBED), TWO),
    "a wrong size beside a descriptor": (
        written(Part("a", "content", flags=DESCRIBED, local={"size": 3})),
        TWO,
    ),
    "no local header": (lying(signature=b"PK\x03\x05"), "not where the directory says"),
    "a local header elsewhere": (mistold(offset=5), "not where the directory says"),
    "a local header outside": (mistold(offset=1 << 31), "not where the directory says"),
    "a longer name than there is": (lying(name=0xFF00), "contradict"),
    "another checksum behind": (streamed(crc=OTHER), "contradicts the directory"),
    "another size behind": (streamed(size=8), "contradicts the directory"),
    "another packed size behind": (streamed(packed=8), "contradicts the directory"),
    "nothing behind": (
        written(Part("a", "content", flags=DESCRIBED, no_descriptor=True)),
        "contradicts the directory",
    ),
    "both sizes wrong": (
        written(Part("a", "content", local={"size": 3}, central={"size": 3})),
        "larger than it says",
    ),
    "both sizes too large": (
        written(Part("a", "content", local={"size": 9}, central={"size": 9})),
        "checksum",
    ),
    "both checksums wrong": (
        written(Part("a", "content", local={"crc": OTHER}, central={"crc": OTHER})),
        "checksum",
    ),
    "stored, of two sizes": (
        written(Part("a", "xx", method=STORED, local={"size": 1}, central={"size": 1})),
        "contradict",
    ),
    "bytes behind its end": (
        written(Part("a", "x", body=deflated(b"x") + b"more")),
        "after its end",
    ),
    "cut off": (written(Part("a", "x" * 99, body=deflated(b"x" * 99)[:-2])), "cut off"),
    "no deflate": (written(Part("a", "x", body=b"\xff\xff\xff")), "damaged"),
}
