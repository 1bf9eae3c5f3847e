"""Entries that are neither file nor folder, are packed as nobody can read, or are too much."""

import stat

from tests.support.zip_writer import (
    DESCRIBED,
    DOS,
    ENCRYPTED,
    LINK,
    MASKED,
    PATCH,
    STORED,
    STRONG,
    Part,
    extra,
    written,
)
from tests.unit.adapters.hostile_zips.case import Case

from codexsys_adapters.zips.rules import ZipLimits

SMALL = ZipLimits(entries=3, total_bytes=1000)


def of_kind(mode: int, system: int = 3) -> bytes:
    return written(Part("ok.py", "x"), Part("a", "", method=STORED, mode=mode, system=system))


KINDS: dict[str, Case] = {
    "a character device": (of_kind(stat.S_IFCHR | 0o666), "neither"),
    "a disk": (of_kind(stat.S_IFBLK | 0o660), "neither"),
    "a pipe": (of_kind(stat.S_IFIFO | 0o644), "neither"),
    "a socket": (of_kind(stat.S_IFSOCK | 0o644), "neither"),
    "an unknown kind": (of_kind(0o150644), "neither"),
    "a link of DOS": (of_kind(LINK, DOS), "neither"),
    "setuid": (of_kind(0o104755), "setuid"),
    "setgid": (of_kind(0o102755), "setuid"),
    "sticky": (of_kind(0o101644), "setuid"),
    "setuid, of no kind": (of_kind(0o4755), "setuid"),
    "setuid, of DOS": (of_kind(0o104755, DOS), "setuid"),
    "a file that is a folder": (
        written(Part("a", "x"), Part("z", "x"), Part("a/", method=STORED)),
        "is a file and the folder of 'a/'",
    ),
    "a file that is a folder in other letters": (
        written(Part("d/a", "x"), Part("z", "x"), Part("D/A./", method=STORED)),
        "is a file and the folder",
    ),
    "a folder with contents": (
        written(Part("ok", "x"), Part("d/", "x", method=STORED)),
        "a folder with contents",
    ),
    "a file below a link": (
        written(Part("d/x", "x"), Part("l", "d", method=STORED, mode=LINK), Part("l/p", "x")),
        "is a file and the folder",
    ),
    "a file below a link in other letters": (
        written(Part("d/x", "x"), Part("L", "d", method=STORED, mode=LINK), Part("l/p", "x")),
        "is a file and the folder",
    ),
}
PACKING: dict[str, Case] = {
    "encrypted": (
        written(Part("a", "x", flags=ENCRYPTED)),
        "encrypted",
    ),
    "strongly": (written(Part("a", "x", flags=ENCRYPTED | STRONG)), "encrypted"),
    "strongly, by its field": (written(Part("a", "x", extra=extra(0x17, bytes(8)))), "encrypted"),
    "by AES": (written(Part("a", "x", flags=ENCRYPTED, extra=extra(0x9901, b"\2\0AE\3\0\0"))), "encrypted"),
    "by AES, unsaid": (written(Part("a", "x", extra=extra(0x9901, b"\2\0AE\3\0\0"))), "encrypted"),
    "with a hidden directory": (written(Part("a", "x", flags=MASKED)), "encrypted"),
    "one of many": (written(Part("ok", "x"), Part("a", "x", flags=ENCRYPTED)), "'a' is encrypted"),
    "as a patch": (written(Part("a", "x", flags=PATCH)), "only deflate is known"),
    **{
        f"by method {method}": (
            written(Part("ok", "x"), Part("a", "x", method=method, body=b"xx")),
            f"method {method};",
        )
        for method in (1, 6, 9, 12, 14, 20, 93, 95, 97, 98, 99, 65535)
    },
}  # fmt: skip
BOMBS: dict[str, tuple[bytes, str, ZipLimits]] = {
    "by its ratio": (written(Part("a", bytes(70 << 20))), "times its size", ZipLimits()),
    "in all": (written(*(Part(f"a{at}", bytes(400)) for at in range(3))), "1000 bytes", SMALL),
    "in one": (written(Part("a", bytes(1001))), "more than 1000 bytes", SMALL),
    "in what is left out": (
        written(Part("a", "a"), Part("__MACOSX/b", bytes(1001))),
        "more than 1000 bytes",
        SMALL,
    ),
    "by many entries": (written(*(Part(f"a{at}") for at in range(4))), "at most 3", SMALL),
    "by many folders": (
        written(Part("a", "x"), *(Part(f"d{at}/", method=STORED) for at in range(4))),
        "at most 3",
        SMALL,
    ),
    "that says it is small": (
        written(Part("a", bytes(10 << 20), local={"size": 9}, central={"size": 9})),
        "larger than it says",
        SMALL,
    ),
    "streamed, that says it is small": (
        written(
            Part("a", bytes(10 << 20), flags=DESCRIBED, central={"size": 9}, behind={"size": 9})
        ),
        "larger than it says",
        SMALL,
    ),
}
