import asyncio
import io
import os
import select
import signal
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from tests.support.git_http import git

from codexsys_adapters.zips.adapter import Zips
from codexsys_adapters.zips.children import CHILDREN
from codexsys_adapters.zips.rules import ZipLimits
from codexsys_core.errors import Invalid
from codexsys_core.source import SourceFailure


def zipped(*entries: tuple[str, bytes | str], mode: int = 0o100644, comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name, content in entries:
            add(archive, name, content, mode)
    return made.getvalue()


def add(archive: zipfile.ZipFile, name: str, content: bytes | str, mode: int = 0o100644) -> None:
    entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    entry.filename = name  # as given: zipfile would tidy it
    entry.external_attr = mode << 16
    entry.create_system = 3
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def with_links(files: dict[str, str], links: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            add(archive, name, content)
        for name, target in links.items():
            add(archive, name, target, stat.S_IFLNK | 0o777)
    return made.getvalue()


async def refusal(folder: Path, data: bytes, limits: ZipLimits | None = None) -> str:
    """Both doors refuse with the same sentence, and nothing is left."""
    file = folder / "code.zip"
    file.write_bytes(data)
    zips = Zips(limits=limits)
    with pytest.raises(Invalid) as vetted:
        await zips.vet(file)
    assert vetted.value.code == "zip_refused"
    with pytest.raises(SourceFailure) as unpacked:
        await zips.unpack(file, folder / "base")
    assert unpacked.value.reason == "zip_refused"
    assert unpacked.value.detail == vetted.value.message
    assert not (folder / "base").exists()
    return vetted.value.message


async def tree_of(folder: Path, data: bytes, name: str = "base") -> str:
    file = folder / "code.zip"
    file.write_bytes(data)
    await Zips().vet(file)
    base = await Zips().unpack(file, folder / name)
    assert git(folder / name, "rev-parse", "refs/heads/base", "HEAD^{tree}").split() == [
        base.commit,
        base.tree,
    ]
    git(folder / name, "fsck", "--strict")
    return git(folder / name, "-c", "core.quotePath=false", "ls-tree", "-r", "HEAD")


def names(tree: str) -> list[str]:
    return [line.partition("\t")[2] for line in tree.splitlines()]


async def test_the_same_bytes_give_the_same_commit(tmp_path: Path) -> None:
    data = zipped(("b.py", "b"), ("a/é.py", "a"), ("a/empty", ""))
    assert await tree_of(tmp_path, data, "one") == await tree_of(tmp_path, data, "two")
    first, second = ((tmp_path / name / "refs/heads/base").read_text() for name in ("one", "two"))
    assert first == second


async def test_modes_and_safe_links_are_kept(tmp_path: Path) -> None:
    made = io.BytesIO(with_links({"lib/a.py": "a"}, {"bin/a": "../lib/a.py", "gone": "not/there"}))
    with zipfile.ZipFile(made, "a") as archive:
        add(archive, "run.sh", "#!/bin/sh\n", 0o100755)
    lines = (await tree_of(tmp_path, made.getvalue())).splitlines()
    assert [(line[:6], line.partition("\t")[2]) for line in lines] == [
        ("120000", "bin/a"),
        ("120000", "gone"),
        ("100644", "lib/a.py"),
        ("100755", "run.sh"),
    ]


async def test_what_ordinary_tools_make_is_taken(tmp_path: Path) -> None:
    forge = zipped(("p-main/", ""), ("p-main/a.py", "a"), comment=b"0" * 40)
    assert names(await tree_of(tmp_path, forge, "forge")) == ["a.py"]
    mac = zipped(("p/a.py", "a"), ("__MACOSX/p/._a.py", "x"))
    assert names(await tree_of(tmp_path, mac, "mac")) == ["a.py"]
    dotted = zipped(("./a.py", "a"), ("./d/b.py", "b"), (".gitignore", "x"))
    assert names(await tree_of(tmp_path, dotted, "dotted")) == [".gitignore", "a.py", "d/b.py"]


class _Stream(io.RawIOBase):
    """A sink that cannot seek, so that zipfile writes data descriptors."""

    def __init__(self) -> None:
        self.made = bytearray()

    def writable(self) -> bool:  # type: ignore[explicit-override]
        return True

    def write(self, data: object) -> int:  # type: ignore[explicit-override]
        self.made += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


async def test_streamed_and_64_bit_zips_are_taken(tmp_path: Path) -> None:
    sink = _Stream()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", "a" * 1000)
        with archive.open("b.py", "w", force_zip64=True) as file:
            file.write(b"b" * 1000)
    assert names(await tree_of(tmp_path, bytes(sink.made), "streamed")) == ["a.py", "b.py"]
    made = io.BytesIO()
    with (
        zipfile.ZipFile(made, "w") as archive,
        archive.open("c.py", "w", force_zip64=True) as file,
    ):
        file.write(b"c")
    assert names(await tree_of(tmp_path, made.getvalue(), "wide")) == ["c.py"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty."),
        (b"hello", "not a zip"),
        (b"\x1f\x8b" + bytes(100), "not a zip"),
        (zipped(), "holds no file"),
        (zipped(("d/", "")), "holds no file"),
        (zipped(("a", "a"))[:-5], "not a zip"),
        (zipped(("a", "a")) + b"trailing", "not a zip"),
        (b"prefix" + zipped(("a", "a")), "not where it should be"),
        (zipped(("a", "a"), comment=zipped(("b", "b"))), "more than one directory"),
    ],
    ids=range(9),
)
async def test_what_is_no_whole_zip_is_refused(tmp_path: Path, data: bytes, sentence: str) -> None:
    assert sentence in await refusal(tmp_path, data)


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "d/../../a",
        "/etc/passwd",
        "C:/a",
        "c:a",
        "..\\a",
        "d\\a",
        "a//b",
        "a/./b",
        "a\nb",
        ".git/config",
        ".GIT/config",
        "d/.git",
        ".git./config",
        ".git /config",
        "git~1/config",
        ".git::$INDEX_ALLOCATION/config",
        ".g\u200cit/config",
        "a" * 256,
        "/".join("d" * 65),
    ],
)
async def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    sentence = await refusal(tmp_path, zipped(("ok.py", "x"), (name, "x")))
    assert repr(name)[1:8] in sentence


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("first", "second"),
    [("a.py", "a.py"), ("a.py", "A.py"), ("\u00e9", "e\u0301"), ("a", "a/b"), ("a/b", "A")],
)
async def test_one_name_twice_is_refused(tmp_path: Path, first: str, second: str) -> None:
    sentence = await refusal(tmp_path, zipped((first, "1"), (second, "2"), ("z", "z")))
    assert "twice" in sentence or "is a file and the folder" in sentence


@pytest.mark.parametrize(
    "links",
    [
        {"l": "/etc/passwd"},
        {"l": "../x"},
        {"d/l": "../../x"},
        {"l": "d/../../x"},
        {"a": "d", "d/b": "../a/../../x"},
        {"up": ".", "l": "up/../x"},
        {"l": "l"},
        {"l": "a\\b"},
        {"l": ".git/config"},
        {"l": ""},
    ],
)
async def test_links_that_leave_the_tree_are_refused(tmp_path: Path, links: dict[str, str]) -> None:
    assert "link" in await refusal(tmp_path, with_links({"d/x": "x", "x": "x"}, links))


async def test_a_file_below_a_link_is_refused(tmp_path: Path) -> None:
    data = with_links({"l/passwd": "x", "d/x": "x"}, {"l": "d"})
    assert "'l' is a file and the folder of 'l/passwd'" in await refusal(tmp_path, data)


async def test_devices_are_refused(tmp_path: Path) -> None:
    assert "neither" in await refusal(tmp_path, zipped(("null", ""), mode=stat.S_IFCHR | 0o666))


def patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    at = data.rindex(signature) + offset
    return data[:at] + value + data[at + len(value) :]


@pytest.mark.parametrize(
    ("signature", "offset", "value", "sentence"),
    [
        (b"PK\x01\x02", 8, struct.pack("<H", 1), "encrypted"),
        (b"PK\x01\x02", 10, struct.pack("<H", 12), "method 12"),
        (b"PK\x01\x02", 24, struct.pack("<L", 8), "contradict"),
        (b"PK\x03\x04", 8, struct.pack("<H", 0), "contradict"),
        (b"PK\x03\x04", 30, b"x", "contradict"),
        (b"PK\x01\x02", 42, struct.pack("<L", 5), "not where"),
        (b"PK\x05\x06", 4, struct.pack("<H", 1), "one part of several"),
        (b"PK\x05\x06", 8, struct.pack("<2H", 2, 2), "damaged"),
    ],
)
async def test_damage_and_tricks_are_named(
    tmp_path: Path, signature: bytes, offset: int, value: bytes, sentence: str
) -> None:
    data = patched(zipped(("name.py", "content")), signature, offset, value)
    assert sentence in await refusal(tmp_path, data)


async def test_a_wrong_checksum_is_found(tmp_path: Path) -> None:
    data = zipped(("a.py", "content"))
    wrong = struct.pack("<L", zlib.crc32(b"other"))
    data = patched(patched(data, b"PK\x01\x02", 16, wrong), b"PK\x03\x04", 14, wrong)
    assert "checksum" in await refusal(tmp_path, data)


def overlapping(count: int, size: int) -> bytes:
    """Many directory entries that share one compressed body."""
    data = zipped(("a", bytes(size)))
    central = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    entry = data[central:end] * count
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(entry), central, 0)
    return data[:central] + entry + tail


async def test_bombs_are_refused(tmp_path: Path) -> None:
    assert "overlaps" in await refusal(tmp_path, overlapping(20, 1000))
    assert "times its size" in await refusal(tmp_path, zipped(("a", bytes(70 << 20))))
    small = ZipLimits(total_bytes=1000, entries=3)
    assert "more than 1000 bytes" in await refusal(tmp_path, zipped(("a", bytes(1001))), small)
    many = zipped(*((str(number), "x") for number in range(4)))
    assert "at most 3" in await refusal(tmp_path, many, small)


async def test_a_size_that_lies_is_found_while_inflating(tmp_path: Path) -> None:
    data = zipped(("a", bytes(100_000)))
    lie = struct.pack("<L", 10)
    data = patched(patched(data, b"PK\x01\x02", 24, lie), b"PK\x03\x04", 22, lie)
    assert "larger than it says" in await refusal(tmp_path, data)


def says_less_than_it_holds(name: str, content: bytes, *, idle_blocks: int) -> bytes:
    """A zip with one file that claims to be empty; so many deflate blocks without content come first."""
    raw = bytes([0, 0, 0, 0xFF, 0xFF]) * idle_blocks + zlib.compress(content, wbits=-15)
    said = (20, 0, 8, 0, 33, zlib.crc32(content), len(raw), 0, len(name))
    local = struct.pack("<4s5H3L2H", b"PK\x03\x04", *said, 0) + name.encode()
    central = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, *said, 0, 0, 0, 0, 0, 0) + name.encode()
    at = len(local) + len(raw)
    ending = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(central), at, 0)
    return local + raw + central + ending


async def test_a_lie_is_told_when_git_has_closed_its_pipe_meanwhile(tmp_path: Path) -> None:
    """A killed git is gone, or not, before what was written for it is flushed."""
    file = tmp_path / "code.zip"
    file.write_bytes(says_less_than_it_holds("a", b"content", idle_blocks=4_000_000))
    zips = Zips(git=shown(tmp_path, "exec 0<&-; exec sleep 300"))
    with pytest.raises(SourceFailure, match="larger than it says"):
        await zips.unpack(file, tmp_path / "base")


def shown(folder: Path, script: str) -> str:
    """A git that says or does what a test wants to see."""
    program = folder / "git"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    return str(program)


def plain(folder: Path) -> Path:
    file = folder / "code.zip"
    file.write_bytes(zipped(("a.py", "content")))
    return file


async def test_a_burst_of_zips_is_read_by_a_few_children_at_a_time(tmp_path: Path) -> None:
    running, most = tmp_path / "running", tmp_path / "most"
    running.mkdir()
    git = shown(
        tmp_path,
        f"case $* in *rev-parse*) echo a b; exit;; esac\ntouch {running}/$$\n"
        f"ls {running} | wc -l >> {most}\ncat > /dev/null; sleep 0.1\nrm {running}/$$\n",
    )
    zips = Zips(git=git)
    unpacking = (zips.unpack(plain(tmp_path), tmp_path / str(n)) for n in range(3 * CHILDREN))
    await asyncio.gather(*unpacking)
    counts = [int(line) for line in most.read_text().splitlines()]
    assert len(counts) == 3 * CHILDREN
    assert max(counts) <= CHILDREN


async def test_who_no_longer_waits_leaves_nothing_running(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    git = shown(tmp_path, f"echo $$ > {begun}; exec sleep 300")
    waiting = asyncio.create_task(Zips(git=git).unpack(plain(tmp_path), tmp_path / "base"))
    process = os.pidfd_open(int(await asyncio.to_thread(begun.read_text)))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not (tmp_path / "base").exists()
    assert select.select([process], [], [], 10)[0]


async def test_a_nursery_that_is_killed_is_followed_by_another(tmp_path: Path) -> None:
    told = tmp_path / "told"
    parents = "$(cut -d' ' -f4 /proc/$(cut -d' ' -f4 /proc/$PPID/stat)/stat)"
    zips = Zips(git=shown(tmp_path, f'echo {parents} >> {told}; exec git "$@"'))
    await zips.unpack(plain(tmp_path), tmp_path / "one")
    first = told.read_text().split()[0]
    os.kill(int(first), signal.SIGKILL)
    await zips.unpack(plain(tmp_path), tmp_path / "two")
    assert told.read_text().split()[-1] != first


async def test_the_child_that_reads_has_no_network_and_no_secret(tmp_path: Path) -> None:
    told = tmp_path / "told"
    look = f"cat /proc/$PPID/net/dev /proc/$PPID/environ > {told}"
    await Zips(git=shown(tmp_path, f'{look}; exec git "$@"')).unpack(
        plain(tmp_path), tmp_path / "base"
    )
    interfaces = [
        line.split(":")[0].strip() for line in told.read_text().splitlines() if ":" in line
    ]
    assert interfaces == ["lo"]
    assert "PATH" not in told.read_text()
