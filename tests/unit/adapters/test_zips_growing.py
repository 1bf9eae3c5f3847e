import asyncio
import random
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from tests.unit.adapters.hostile_zips.every import hostile
from tests.unit.adapters.test_zips import zipped
from tests.unit.adapters.test_zips_ordinary import ORDINARY

from codexsys_adapters.zips.adapter import Zips
from codexsys_adapters.zips.ahead import STEP, Arriving, look_ahead
from codexsys_adapters.zips.children import FOLLOWING
from codexsys_adapters.zips.directory import Entry, read_directory
from codexsys_adapters.zips.reader import ZipTree
from codexsys_adapters.zips.rules import ZipLimits, ZipRefused
from codexsys_core.errors import Invalid
from codexsys_core.growing import GivenUp, Growing

PIECES = 3
NOISE = random.Random(3)


def large(*, streamed: bool = False) -> bytes:
    """Return a zip of three steps of files, and a last one that is all comment."""
    size = STEP // 4
    data = zipped(*((f"{at}.bin", NOISE.randbytes(size)) for at in range(11)), comment=b" " * 9999)
    if not streamed:
        return data
    flagged = data.replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x08\x00", 1)
    return flagged.replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x08\x00", 1
    )


async def came_in(zips: Zips, file: Path, data: bytes) -> str:
    """Let a zip come in piece by piece while it is vetted; return what refuses it."""
    with file.open("wb", buffering=0) as out:
        growing = Growing(file, len(data))
        vetting = asyncio.ensure_future(zips.vet(growing))
        for at in range(PIECES):
            out.write(data[len(data) * at // PIECES : len(data) * (at + 1) // PIECES])
            growing.grew(out.tell())
            await asyncio.wait([vetting], timeout=0)
    try:
        await vetting
    except Invalid as refused:
        return f"{refused.code}: {refused.message}"
    return ""


async def in_turn(folder: Path, cases: list[tuple[bytes, ZipLimits]]) -> list[str]:
    """Vet them, each kind of limits with as many at a time as are followed."""
    zips: dict[ZipLimits, Zips] = {}
    free = asyncio.Semaphore(FOLLOWING)

    async def one(at: int, data: bytes, limits: ZipLimits) -> str:
        async with free:
            reader = zips.setdefault(limits, Zips(limits=limits))
            return await came_in(reader, folder / f"{at}.zip", data)

    return await asyncio.gather(*(one(at, *case) for at, case in enumerate(cases)))


async def test_hostile_zips_are_refused_while_they_come_in_as_they_are_else(tmp_path: Path) -> None:
    cases = hostile()
    said = await in_turn(tmp_path, [(data, limits) for data, _, limits in cases.values()])
    wanted = [words for _, words, _ in cases.values()]
    odd = [
        f"{name}: {found}"
        for name, words, found in zip(cases, wanted, said, strict=True)
        if not re.search(f"zip_refused: .*{words}", found, re.DOTALL)
    ]
    assert odd == []


async def test_ordinary_zips_are_taken_while_they_come_in(tmp_path: Path) -> None:
    ordinary = [(data, ZipLimits()) for data, _ in ORDINARY.values()]
    assert set(await in_turn(tmp_path, [*ordinary, (large(), ZipLimits())])) == {""}


@contextmanager
def arriving(file: Path, data: bytes, steps: int) -> Iterator[tuple[Arriving, BinaryIO]]:
    """Yield a file of which so many steps are there, and all of it for whoever looks."""
    file.write_bytes(data)
    ours, theirs = socket.socketpair()
    with ours, theirs, file.open("rb") as opened:
        ours.sendall(bytes(steps))
        yield Arriving(opened, theirs.fileno(), len(data)), opened


def entries_of(opened: BinaryIO) -> list[Entry]:
    return read_directory(opened, ZipLimits())


def test_entries_are_read_before_the_directory_is_there(tmp_path: Path) -> None:
    data = large()
    with arriving(tmp_path / "zip", data, len(data) // STEP) as (coming, opened):
        entries = entries_of(opened)
        there = len(data) // STEP * STEP
        seen = look_ahead(coming, ZipLimits())
        wanted = [entry.content for entry in entries if entry.end <= there]
        assert [next(seen) for _ in wanted] == wanted
        assert len(wanted) >= len(entries) // 2


def test_of_what_is_all_there_nothing_is_read_ahead(tmp_path: Path) -> None:
    data = large()
    with arriving(tmp_path / "zip", data, len(data) // STEP + 1) as (coming, _):
        assert list(look_ahead(coming, ZipLimits())) == []


@pytest.mark.parametrize("limits", [ZipLimits(total_bytes=STEP), ZipLimits()])
def test_nothing_is_read_ahead_beyond_the_limits_nor_where_sizes_come_later(
    tmp_path: Path, limits: ZipLimits
) -> None:
    data = large(streamed=limits == ZipLimits())
    with arriving(tmp_path / "zip", data, len(data) // STEP) as (coming, _):
        assert sum(seen.size for seen in look_ahead(coming, limits)) <= STEP


def test_damage_ends_what_is_read_ahead_and_is_found_then(tmp_path: Path) -> None:
    data = bytearray(large())
    with arriving(tmp_path / "zip", bytes(data), 0) as (_, opened):
        second = entries_of(opened)[1]
    data[second.data + 1000] ^= 1
    with arriving(tmp_path / "zip", bytes(data), len(data) // STEP) as (coming, opened):
        seen = set(look_ahead(coming, ZipLimits()))
        assert len(seen) == 1
        with pytest.raises(ZipRefused, match=re.escape(repr("1.bin"))):
            ZipTree(opened, ZipLimits()).check(seen)


def test_only_exactly_what_was_seen_is_not_read_again(tmp_path: Path) -> None:
    data = bytearray(large())
    with arriving(tmp_path / "zip", bytes(data), 0) as (_, opened):
        contents = [entry.content for entry in entries_of(opened)]
    data[contents[0].data + 1000] ^= 1
    (tmp_path / "zip").write_bytes(data)
    with (tmp_path / "zip").open("rb") as opened:
        tree = ZipTree(opened, ZipLimits())
        tree.check({contents[0]})
        for field, value in contents[0]._asdict().items():
            with pytest.raises(ZipRefused):
                tree.check({contents[0]._replace(**{field: value + 1}), *contents[1:]})


async def test_what_is_given_up_or_one_too_many_is_not_followed(tmp_path: Path) -> None:
    zips, data = Zips(), large()
    (tmp_path / "zip").write_bytes(data)
    files = [Growing(tmp_path / "zip", len(data)) for _ in range(FOLLOWING + 1)]
    vetting = [asyncio.ensure_future(zips.vet(file)) for file in files]
    with pytest.raises(GivenUp):
        await vetting[-1]
    files[0].give_up()
    with pytest.raises(GivenUp):
        await vetting[0]
    for file in files[1:-1]:
        file.grew(len(data))
    await asyncio.gather(*vetting[1:-1])
    await zips.vet(tmp_path / "zip")
