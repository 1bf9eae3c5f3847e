"""Packed bases are the same bytes, and bring nothing else."""

import io
import tarfile
from pathlib import Path

import pytest
from tests.support.git_http import git

from codexsys_adapters.git import GitPatchBench
from codexsys_core.errors import PlatformError


async def test_a_packed_base_is_the_same_bytes_and_comes_back(base: Path, tmp_path: Path) -> None:
    bench = GitPatchBench()
    (base / "hooks").mkdir()
    (base / "hooks" / "post-checkout").write_text("#!/bin/sh\n")
    for name in ("one", "two"):
        await bench.pack(base, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    await bench.unpack(tmp_path / "one", tmp_path / "again")
    assert not (tmp_path / "again" / "hooks").exists()
    assert git(tmp_path / "again", "rev-parse", "HEAD") == git(base, "rev-parse", "HEAD")
    git(tmp_path / "again", "fsck")


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "hooks/post-checkout", "objects/info/alternates", "link"]
)
async def test_an_archive_with_anything_else_is_refused(tmp_path: Path, name: str) -> None:
    with tarfile.open(tmp_path / "evil.tgz", "w:gz") as archive:
        entry = tarfile.TarInfo(name if name != "link" else "HEAD")
        if name == "link":
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(entry, io.BytesIO())
    with pytest.raises(PlatformError):
        await GitPatchBench().unpack(tmp_path / "evil.tgz", tmp_path / "again")
    assert not (tmp_path / "again").exists()


async def test_an_archive_cannot_bring_configuration(base: Path, tmp_path: Path) -> None:
    wanted = (base / "config").read_bytes()
    (base / "config").write_text("[core]\n\tfsmonitor = id\n\tbare = true\n")
    await GitPatchBench().pack(base, tmp_path / "one")
    await GitPatchBench().unpack(tmp_path / "one", tmp_path / "again")
    assert (tmp_path / "again" / "config").read_bytes() == wanted


async def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\x1f\x8b\x08 no")
    with pytest.raises(PlatformError):
        await GitPatchBench().unpack(tmp_path / "bad", tmp_path / "again")
    assert not (tmp_path / "again").exists()
