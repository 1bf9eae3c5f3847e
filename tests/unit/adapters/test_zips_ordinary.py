"""Archives as ordinary tools make them: taken, and byte for byte what was put into them."""

import asyncio
import io
import os
import shutil
import struct
import subprocess
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.git_http import git
from tests.support.zip_writer import (
    DEFLATED,
    DESCRIBED,
    DOS,
    FOLDER,
    LINK,
    MACOS,
    NTFS,
    STORED,
    UTF8,
    Part,
    extra,
    unicode_path,
    written,
)

from codexsys_adapters.zips.adapter import Zips

RUN = 0o100755
TEXT = b"print('one')\r\n" * 100
BINARY = bytes(range(256)) * 40
TIMES = extra(0x5455, struct.pack("<BL", 1, 1_600_000_000))
OWNER = extra(0x7875, b"\x01\x04" + struct.pack("<LBL", 1000, 4, 1000))
APPLE = extra(0x5855, struct.pack("<2L", 1_600_000_000, 1_600_000_000))
NTFS_TIMES = extra(0x000A, bytes(4) + struct.pack("<2H", 1, 24) + bytes(24))
JAR = extra(0xCAFE, b"")
COMMIT = b"0123456789abcdef0123456789abcdef01234567"
TURNED = unicodedata.normalize("NFD", "größe.py")
LONG = "é" * 127
DEEP = "/".join("d" * 60)
ODD = ("-rf", "a b.py", "it's.py", 'say "x".py', "$HOME;id.py", "a&b|c.py", "50%.py", "#a#", "*.py")
NEARLY = (
    "console.py",
    "i2c/aux.c",
    "nul.txt",
    "nullable.go",
    "com.py",
    "com10.txt",
    "auxiliary/a.c",
    "d.git",
    "a.git/b",
)
GITS = (
    ".gitignore",
    ".gitattributes",
    ".github/a.yml",
    ".gitkeep",
    ".git-blame-ignore-revs",
    "git",
)
SCRIPTS = ("שלום.py", "مرحبا.txt", "日本語.md", "Ünïcödé/ß.c", "👩\u200d🔬.py", "مى\u200cخ.txt")

Tree = Mapping[str, bytes | tuple[str, bytes]]
"""The contents by path; with a mode where it is not that of a plain file."""


def inner() -> bytes:
    """Return a zip for a zip: nothing opens it."""
    return written(Part("../../outside", b"x"), Part(".git/config", b"x"))


def streamed(name: str, content: bytes = TEXT, *, fields: bytes = b"", wide: bool = False) -> Part:
    return Part(name, content, flags=DESCRIBED, extra=fields, wide=wide)


def on_windows(name: str, content: bytes = TEXT, *, flags: int = 0, fields: bytes = b"") -> Part:
    return Part(name, content, flags=flags, system=DOS, external=0x20, extra=fields)


def folder(name: str, system: int = DOS, fields: bytes = b"") -> Part:
    return Part(name, method=STORED, mode=FOLDER, system=system, extra=fields)


def plain(*names: str) -> bytes:
    return written(*(Part(name, name.encode(), flags=UTF8) for name in names))


def same(*names: str) -> Tree:
    return {name: name.encode() for name in names}


ORDINARY: dict[str, tuple[bytes, Tree]] = {
    "macOS, Finder": (
        written(
            folder("p/", MACOS, APPLE),
            streamed("p/a.py", fields=APPLE),
            streamed("__MACOSX/p/._a.py", b"\0\5\x16\7", fields=APPLE),
            streamed(f"p/{TURNED}", fields=APPLE),
            Part("p/l", b"a.py", method=STORED, mode=LINK, extra=APPLE),
        ),
        {"a.py": TEXT, TURNED: TEXT, "l": ("120000", b"a.py")},
    ),
    "macOS, ditto, two folders": (
        written(streamed("a/x.py"), streamed("b/x.py"), streamed("__MACOSX/a/._x.py", b"\0\5")),
        {"a/x.py": TEXT, "b/x.py": TEXT},
    ),
    "Windows, Explorer": (
        written(Part("p/a.py", TEXT, system=NTFS, external=0x20), on_windows("p/d/é.txt", flags=UTF8)),
        {"a.py": TEXT, "d/é.txt": TEXT},
    ),
    "Windows, Explorer, names of a code page": (
        written(Part(b"gr\x94\xe1e.txt", TEXT, system=DOS, external=0x20)),
        {"größe.txt": TEXT},
    ),
    "Windows, PowerShell 5": (
        written(
            on_windows("p\\d\\", b""), on_windows("p\\d\\a.py"), on_windows("p\\d\\e\\b.bin", BINARY)
        ),
        {"d/a.py": TEXT, "d/e/b.bin": BINARY},
    ),
    "Windows, .NET, streamed": (
        written(Part("a.py", TEXT, flags=DESCRIBED | UTF8, system=DOS, external=0)),
        {"a.py": TEXT},
    ),
    "Windows, folders without a slash": (
        written(
            Part("d", method=STORED, system=DOS, external=0x10), on_windows("d/a.py"), on_windows("b")
        ),
        {"d/a.py": TEXT, "b": TEXT},
    ),
    "7-Zip on Windows": (
        written(on_windows("a/b.py", fields=NTFS_TIMES), on_windows("é.py", flags=UTF8)),
        {"a/b.py": TEXT, "é.py": TEXT},
    ),
    "7-Zip on Linux": (
        written(Part("run.sh", TEXT, external=RUN << 16 | 0x8000), Part("b", BINARY, external=0x81A48000)),
        {"run.sh": ("100755", TEXT), "b": BINARY},
    ),
    "zip -r": (
        written(
            folder("d/", 3, TIMES + OWNER),
            Part("d/a.py", TEXT, extra=TIMES + OWNER, local_extra=TIMES + OWNER + bytes(2)),
            Part("run.sh", b"#!/bin/sh\n", mode=RUN, method=STORED, extra=TIMES + OWNER),
        ),
        {"d/a.py": TEXT, "run.sh": ("100755", b"#!/bin/sh\n")},
    ),
    "zip, with names in parts and in UTF-8": (
        written(Part(b"gr#U00f6.py", TEXT, extra=unicode_path(b"gr#U00f6.py", "grö.py"))),
        {"grö.py": TEXT},
    ),
    "Java, jar": (
        written(
            Part("META-INF/", flags=DESCRIBED | UTF8, system=DOS, external=0, extra=JAR),
            Part("META-INF/MANIFEST.MF", TEXT, flags=DESCRIBED | UTF8, system=DOS, external=0),
            Part("A.class", BINARY, flags=DESCRIBED | UTF8, system=DOS, external=0),
        ),
        {"META-INF/MANIFEST.MF": TEXT, "A.class": BINARY},
    ),
    "Java, stored": (
        written(Part("a.py", TEXT, method=STORED, system=DOS, external=0, flags=UTF8)),
        {"a.py": TEXT},
    ),
    "Java, aligned for Android": (
        written(Part("a.bin", BINARY, method=STORED, local_extra=bytes(3))),
        {"a.bin": BINARY},
    ),
    "Go, archive/zip": (
        written(streamed("a.py", fields=TIMES), Part("é", TEXT, flags=DESCRIBED | UTF8, system=DOS)),
        {"a.py": TEXT, "é": TEXT},
    ),
    "Go, with modes": (
        written(Part("bin/x", BINARY, flags=DESCRIBED, mode=RUN, extra=TIMES)),
        {"x": ("100755", BINARY)},
    ),
    "GitHub": (
        written(
            folder("p-main/", fields=TIMES),
            Part("p-main/a.py", TEXT, system=DOS, external=0, extra=TIMES),
            Part("p-main/run.sh", b"#!/bin/sh\n", mode=RUN, extra=TIMES),
            Part("p-main/l", b"a.py", method=STORED, mode=LINK, extra=TIMES),
            comment=COMMIT,
        ),
        {"a.py": TEXT, "run.sh": ("100755", b"#!/bin/sh\n"), "l": ("120000", b"a.py")},
    ),
    "git archive, a large file": (
        written(Part("p/a", BINARY, flags=DESCRIBED, system=DOS, external=0), comment=COMMIT),
        {"a": BINARY},
    ),
    "Python, writestr": (written(Part("a.py", TEXT, mode=0o600)), {"a.py": TEXT}),
    "Python on Windows": (
        written(Part("d/", method=STORED, mode=0o40777, system=DOS), Part("d/a", TEXT, system=DOS)),
        {"a": TEXT},
    ),
    "Python, zipapp": (
        written(Part("__main__.py", TEXT), before=b"#!/usr/bin/env python3\n"),
        {"__main__.py": TEXT},
    ),
    "64 bits, small": (written(Part("a", TEXT, wide=True), Part("b", BINARY)), {"a": TEXT, "b": BINARY}),
    "64 bits, streamed": (written(streamed("a", wide=True)), {"a": TEXT}),
    "64 bits, ending": (written(Part("a", TEXT), wide={}), {"a": TEXT}),
    "64 bits, ending, and narrow ones that agree": (
        written(Part("a", TEXT), wide={}, end={"here": 1, "count": 1}),
        {"a": TEXT},
    ),
    "descriptors without a signature": (
        written(Part("a", TEXT, flags=DESCRIBED, signed=False), streamed("b", BINARY)),
        {"a": TEXT, "b": BINARY},
    ),
    "descriptors beside full headers": (
        written(Part("a", b"x", method=STORED, flags=DESCRIBED, local={"packed": 1, "size": 1})),
        {"a": b"x"},
    ),
    "nothing behind what is empty": (
        written(Part("a", method=STORED, flags=DESCRIBED, no_descriptor=True), Part("b", TEXT)),
        {"a": b"", "b": TEXT},
    ),
    "stored": (written(Part("a.bin", BINARY, method=STORED)), {"a.bin": BINARY}),
    "empty files, stored and deflated": (
        written(Part("a", method=STORED), Part("b", method=DEFLATED)),
        {"a": b"", "b": b""},
    ),
    "an empty folder": (written(Part("a", TEXT), folder("d/e/")), {"a": TEXT}),
    "a folder said twice": (written(folder("d/"), folder("d/"), Part("d/a", TEXT)), {"a": TEXT}),
    "all below ./": (written(folder("./"), Part("./a", TEXT), Part("./d/b", TEXT)), {"a": TEXT, "d/b": TEXT}),
    "a large file": (written(Part("a", BINARY * 500)), {"a": BINARY * 500}),
    "bytes between entries": (written(Part("a", TEXT), Part("b", TEXT), between=bytes(7)), {"a": TEXT, "b": TEXT}),
    "comments": (written(Part("a", TEXT, comment=b"\xff" * 99), comment=b"\xe9" * 999), {"a": TEXT}),
    "a long name": (plain(LONG, "a"), same(LONG, "a")),
    "a deep path": (plain(f"{DEEP}/x", "a"), same(f"{DEEP}/x", "a")),
    "odd names": (plain(*ODD), same(*ODD)),
    "names of other scripts": (plain(*SCRIPTS), same(*SCRIPTS)),
    "names that are nearly of devices or of git": (plain(*NEARLY), same(*NEARLY)),
    "files of git that are no repository": (plain(*GITS), same(*GITS)),
    "a zip in a zip": (written(Part("lib/x.jar", inner()), Part("a", TEXT)), {"lib/x.jar": inner(), "a": TEXT}),
    "links inside": (
        written(
            Part("lib/v1/a", TEXT),
            Part("lib/now", b"v1", method=STORED, mode=LINK),
            Part("bin/a", b"../lib/now/a", method=STORED, mode=LINK),
            Part("gone", b"not/there", method=STORED, mode=LINK),
        ),
        {
            "lib/v1/a": TEXT,
            "lib/now": ("120000", b"v1"),
            "bin/a": ("120000", b"../lib/now/a"),
            "gone": ("120000", b"not/there"),
        },
    ),
    "folders with bits that files may not have": (
        written(Part("d/", method=STORED, mode=0o43775), Part("d/a", TEXT), Part("b", TEXT)),
        {"d/a": TEXT, "b": TEXT},
    ),
}  # fmt: skip


def stored_in(base: Path) -> dict[str, tuple[str, bytes]]:
    """Read a base back with git: mode and bytes by path."""
    found = {}
    for line in git(base, "ls-tree", "-rz", "refs/heads/base").split("\0")[:-1]:
        about, _, path = line.partition("\t")
        mode, _, blob = about.split(" ")
        found[path] = (mode, blob)
    asked = "".join(f"{blob}\n" for _, blob in found.values()).encode()
    told = subprocess.run(
        ["git", "-C", str(base), "cat-file", "--batch"],
        input=asked,
        capture_output=True,
        check=True,
    ).stdout
    contents = {}
    for path, (mode, _) in found.items():
        header, _, told = told.partition(b"\n")
        size = int(header.split(b" ")[2])
        contents[path], told = (mode, told[:size]), told[size + 1 :]
    return contents


async def taken(place: Path, data: bytes) -> dict[str, tuple[str, bytes]]:
    """Vet and unpack a zip as tasks do, and return what came of it."""
    file, base = place.with_suffix(".zip"), place.with_suffix(".base")
    await asyncio.to_thread(file.write_bytes, data)
    zips = Zips()
    await zips.vet(file)
    await zips.unpack(file, base)
    return await asyncio.to_thread(stored_in, base)


def whole(tree: Tree) -> dict[str, tuple[str, bytes]]:
    return {
        path: ("100644", what) if isinstance(what, bytes) else what for path, what in tree.items()
    }


async def test_what_ordinary_tools_make_is_taken_byte_for_byte(tmp_path: Path) -> None:
    assert len(ORDINARY) >= 30
    found = await asyncio.gather(
        *(taken(tmp_path / str(at), data) for at, (data, _) in enumerate(ORDINARY.values())),
        return_exceptions=True,
    )
    odd = {
        name: came
        for (name, (_, tree)), came in zip(ORDINARY.items(), found, strict=True)
        if came != whole(tree)
    }
    assert not odd


def lay_out(place: Path) -> dict[str, tuple[str, bytes]]:
    """Write a small project for real tools to pack."""
    contents = {
        "a.py": TEXT,
        "d/größe.bin": BINARY,
        "d/e/empty": b"",
        "a b.txt": b"x",
        "run.sh": b"#!",
    }
    for name, content in contents.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (place / "run.sh").chmod(0o755)
    return {name: ("100755" if name == "run.sh" else "100644", of) for name, of in contents.items()}


def with_python(place: Path, method: int) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        for path in sorted(place.rglob("*")):
            archive.write(path, path.relative_to(place))
    return made.getvalue()


TOOLS = (
    ("zip", "-qr", "-", "."),
    ("zip", "-q0r", "-", "."),
    ("zip", "-qr", "{}", "."),
    ("zip", "-qr", "-fz", "{}", "."),
    ("jar", "cMf", "{}", "."),
    ("7z", "a", "-tzip", "{}", "."),
    ("bsdtar", "--format", "zip", "-cf", "-", "."),
)
"""To a file, and to where it cannot be read again, so that descriptors come into it."""


async def test_what_real_tools_of_this_machine_make_is_taken(tmp_path: Path) -> None:
    project = tmp_path / "project"
    wanted = lay_out(project)
    git(project, "init", "-q")
    git(project, "add", ".")
    tree = git(project, "write-tree").strip()
    by_git = ("git", "archive", "--format=zip", "--prefix=p/", tree)
    made = {" ".join(by_git): run(project, *by_git)}
    shutil.rmtree(project / ".git")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        made[f"python {method}"] = with_python(project, method)
    for number, tool in enumerate(TOOLS):
        if shutil.which(tool[0]):
            file = tmp_path / f"tool{number}.zip"
            said = run(project, *(word.format(file) for word in tool))
            made[" ".join(tool)] = said if "{}" not in tool else file.read_bytes()
    found = await asyncio.gather(
        *(taken(tmp_path / str(at), data) for at, data in enumerate(made.values())),
        return_exceptions=True,
    )
    plain = {path: ("100644", content) for path, (_, content) in wanted.items()}
    odd = {
        name: came
        for name, came in zip(made, found, strict=True)
        if came != (plain if name.startswith("jar") else wanted)  # it keeps no modes
    }
    assert odd == {}


def run(place: Path, *words: str) -> bytes:
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(place.parent)}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, check=True)
    return done.stdout
