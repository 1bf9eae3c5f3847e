"""Archives that are made to do harm, or to be read in two ways: each refused, with what is wrong with it."""

import asyncio
import re
import stat
import struct
import zlib
from pathlib import Path

import pytest
from tests.support.zip_writer import (
    DESCRIBED,
    DOS,
    ENCRYPTED,
    FULL16,
    FULL32,
    LINK,
    MASKED,
    NTFS,
    PATCH,
    STORED,
    STRONG,
    UTF8,
    Part,
    deflated,
    extra,
    unicode_path,
    written,
)

from codexsys_adapters.zips.adapter import Zips
from codexsys_adapters.zips.rules import ZipLimits
from codexsys_core.errors import Invalid
from codexsys_core.source import SourceFailure

TWO, END, WIDE = "two headers", "two ends", "64-bit"
OTHER = zlib.crc32(b"other")
SMALL = ZipLimits(entries=3, total_bytes=1000)

Case = tuple[bytes, str]
"""A zip, and words of the sentence that refuses it."""


def lying(**lies: int | bytes) -> bytes:
    """Write a zip whose second entry says something else in its local header."""
    return written(Part("ok.py", "x"), Part("a.py", "content", local=lies))


def mistold(**lies: int | bytes) -> bytes:
    """Write a zip whose directory says something else of its second entry."""
    return written(Part("ok.py", "x"), Part("a.py", "content", central=lies))


def streamed(**lies: int | bytes) -> bytes:
    """Write a zip whose second entry is followed by a descriptor that says something else."""
    return written(Part("ok.py", "x"), Part("a.py", "content", flags=DESCRIBED, behind=lies))


def named(name: str | bytes, system: int = 3) -> bytes:
    return written(Part("ok.py", "x"), Part(name, "x", flags=UTF8, system=system, external=None))


def both(first: str, second: str) -> bytes:
    return written(Part("z", "z"), Part(first, "1", flags=UTF8), Part(second, "2", flags=UTF8))


def linked(**links: str) -> bytes:
    """Write a zip with a folder, a file in it, and links to somewhere by their names."""
    made = [Part("d/x", "x"), Part("x", "x")]
    made += [
        Part(name.replace("_", "/"), target, method=STORED, mode=LINK)
        for name, target in links.items()
    ]
    return written(*made)


def of_kind(mode: int, system: int = 3) -> bytes:
    return written(Part("ok.py", "x"), Part("a", "", method=STORED, mode=mode, system=system))


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
NAMES: dict[str, str] = {
    **dict.fromkeys(("../a", "d/../../a", "d/../a", "..", "d/.."), "leads out"),
    **dict.fromkeys(("/etc/passwd", "//host/share/a", "//./C:/a", "//?/C:/a", "/"), "absolute"),
    **dict.fromkeys(("C:/a", "c:a", "z:", "./C:/a"), "absolute"),
    **dict.fromkeys(("\\\\host\\share\\a", "..\\a", "d\\a", "\\\\.\\a", "d/..\\a"), "backslash"),
    **dict.fromkeys(("CON", "nul", "d/aux", "Lpt1", "COM\u00b9", "prn ", "NUL/a"), "device"),
    **dict.fromkeys(("com1:", "CONOUT$", "d/conin$/a", "n\u200dul"), "device"),
    **dict.fromkeys(("a\0.py", "a\nb", "a\rb", "\x1b[31mred", "a\x7f", "a\tb", "a\x9b31m"), "control"),
    **dict.fromkeys(("a\u2028b", "a\u2029b"), "control"),
    **dict.fromkeys(("a\u202egpj.py", "\u200fa", "\u2066a\u2069", "a\u061c", "\u202ba"), "turns"),
    **dict.fromkeys((".git/config", ".GIT/config", "d/.git", "d/.Git/HEAD", ".git/"), ".git folder"),
    **dict.fromkeys((".git./config", ".git /config", ".git. ./a", ".git...", "d/.git "), ".git folder"),
    **dict.fromkeys(("git~1/config", "GIT~1", "d/git~2", "git~10/x", "git~1./x"), ".git folder"),
    **dict.fromkeys((".git::$INDEX_ALLOCATION/config", ".git:x", ".GIT::$DATA"), ".git folder"),
    **dict.fromkeys((".g\u200cit/config", ".git\ufeff/a", "\u200d.git/a", ".g\u206fi\u200dt"), ".git folder"),
    **dict.fromkeys((".g\u0131t/config", ".G\u0130T/config"), ".git folder"),
    **dict.fromkeys(("a//b", "a/./b", "...", "d/ /a", " ", "d/. ./a", "a/\u200d/b"), "not a plain path"),
    **dict.fromkeys(("a" * 256, "é" * 128), "longer than 255 bytes"),
    **dict.fromkeys(("/".join("d" * 65), "/".join(["d" * 200] * 6)), "too long or too deep"),
}  # fmt: skip
OTHER_NAMES: dict[str, Case] = {
    "no name": (written(Part("ok", "x"), Part("", "x")), "not a plain path"),
    "no UTF-8": (written(Part("ok", "x"), Part(b"\xff\xfe", "x", flags=UTF8)), "not UTF-8"),
    "overlong UTF-8": (written(Part("ok", "x"), Part(b"\xc0\xaf", "x", flags=UTF8)), "not UTF-8"),
    "half a pair": (written(Part("ok", "x"), Part(b"\xed\xa0\x80", "x", flags=UTF8)), "not UTF-8"),
    "another name in Unicode": (
        written(Part("ok", "x"), Part("a", "x", extra=unicode_path(b"a", "../../a"))),
        "leads out",
    ),
    "a folder of git in Unicode": (
        written(Part("ok", "x"), Part("a", "x", extra=unicode_path(b"a", ".git/config"))),
        ".git folder",
    ),
    "of Windows, upwards": (named("..\\..\\a", NTFS), "leads out"),
    "of Windows, absolute": (named("\\windows\\a", DOS), "absolute"),
    "of Windows, of a share": (named("\\\\host\\share\\a", DOS), "absolute"),
    "of Windows, of a drive": (named("C:\\a", NTFS), "absolute"),
    "of Windows, of git": (named("d\\.git\\config", DOS), ".git folder"),
    "of Windows, mixed": (named("d\\..\\../a", DOS), "backslash"),
}
TWICE: tuple[tuple[str, str], ...] = (
    *(("a.py", "a.py"), ("a.py", "A.py"), ("d/a", "D/A"), ("\u00e9", "e\u0301"), ("É", "e\u0301")),
    *(("a", "a."), ("a", "a "), ("d/a", "d./a"), ("a.", "A . ."), ("stra\u00dfe", "STRASSE")),
    *(("a\u200d", "a"), ("\u212b", "\u00e5"), ("k", "\u212a")),
)
FILE_AND_FOLDER: tuple[tuple[str, str], ...] = (
    *(("a", "a/b"), ("a/b", "A"), ("a./b", "a"), ("é/x", "e\u0301"), ("a/b/c", "A/b.")),
)
LINKS: dict[str, bytes] = {
    "absolute": linked(l="/etc/passwd"),
    "above": linked(l="../x"),
    "above, from a folder": linked(d_l="../../x"),
    "above, by a way round": linked(l="d/../../x"),
    "above, over another": linked(a="d", d_b="../a/../../x"),
    "above, over three": linked(a="d", d_b="..", d_c="b/b2", b2="d/b/.."),
    "above, over a link to here": linked(up=".", l="up/../x"),
    "to itself": linked(l="l"),
    "in a circle": linked(a="b", b="c", c="a"),
    "ever longer": linked(**{f"l{at}": f"l{at + 1}/l{at + 1}" for at in range(60)}, l60="d"),
    "of Windows": linked(l="d\\x"),
    "to a drive": linked(l="C:/windows"),
    "to a share": linked(l="//host/share"),
    "to nothing": linked(l=""),
    "to a name with NUL": linked(l="d/x\0/../../etc"),
    "to a name that turns": linked(l="d/\u202ex"),
    "to a folder of git": linked(l=".git/config"),
    "to a folder of git, hidden": linked(l="d/.G\u200cIT/config"),
    "to a short name of git": linked(l="git~1/hooks"),
    "too long": linked(l="d/" * 2100 + "x"),
    "no UTF-8": written(Part("x", "x"), Part("l", b"\xff", method=STORED, mode=LINK)),
    "packed tightly": written(Part("x", "x"), Part("l", "d/../../x", mode=LINK)),
}
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


def hostile() -> dict[str, tuple[bytes, str, ZipLimits]]:
    """Return all of them, with the limits that they are held to."""
    plain: dict[str, Case] = {}
    for about, cases in (
        ("headers", HEADERS),
        ("directory", DIRECTORY),
        ("64 bits", WIDE_LIES),
        ("names", {repr(name): (named(name), said) for name, said in NAMES.items()}),
        ("other names", OTHER_NAMES),
        ("twice", {repr(pair): (both(*pair), "twice") for pair in TWICE}),
        ("both", {repr(pair): (both(*pair), "is a file and the") for pair in FILE_AND_FOLDER}),
        ("links", {name: (data, "[Ll]ink") for name, data in LINKS.items()}),
        ("kinds", KINDS),
        ("packing", PACKING),
    ):
        plain |= {f"{about}: {name}": case for name, case in cases.items()}
    return {name: (*case, ZipLimits()) for name, case in plain.items()} | {
        f"bombs: {name}": case for name, case in BOMBS.items()
    }


async def refused(file: Path, data: bytes, limits: ZipLimits) -> str:
    """Return the sentence that refuses a zip."""
    await asyncio.to_thread(file.write_bytes, data)
    with pytest.raises(Invalid) as vetted:
        await Zips(limits=limits).vet(file)
    assert vetted.value.code == "zip_refused"
    return vetted.value.message


async def test_hostile_zips_are_refused_with_what_is_wrong(tmp_path: Path) -> None:
    cases = hostile()
    assert len({data for data, _, _ in cases.values()}) >= 200
    said = await asyncio.gather(
        *(
            refused(tmp_path / f"{at}.zip", data, limits)
            for at, (data, _, limits) in enumerate(cases.values())
        ),
        return_exceptions=True,
    )
    wanted = [words for _, words, _ in cases.values()]
    odd = [
        f"{name}: {found}"
        for name, words, found in zip(cases, wanted, said, strict=True)
        if not re.search(words, str(found)) or isinstance(found, BaseException)
    ]
    assert odd == []


@pytest.mark.parametrize(
    "name", ["another size behind", "both sizes wrong", "cut off", "no deflate"]
)
async def test_what_is_found_while_unpacking_leaves_nothing(tmp_path: Path, name: str) -> None:
    data, words = HEADERS[name]
    file = tmp_path / "code.zip"
    file.write_bytes(data)
    with pytest.raises(SourceFailure, match=words) as failure:
        await Zips().unpack(file, tmp_path / "base")
    assert failure.value.reason == "zip_refused"
    assert not (tmp_path / "base").exists()
