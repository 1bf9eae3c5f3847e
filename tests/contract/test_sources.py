"""A repository and a zip of it become the same base, behind the same ports."""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.git_http import GitHttpServer, git, make_repository

from codexsys_adapters.git import GitFetcher as HttpFetcher
from codexsys_adapters.git import GitPatchBench
from codexsys_adapters.outbound import Outbound
from codexsys_adapters.zips.adapter import Zips
from codexsys_core.base_directory import ATTRIBUTES, CONFIG
from codexsys_core.source import Base, GitFetcher, GitSource, ZipReader

if TYPE_CHECKING:
    from codexsys_core.patch import PatchBench

FILES: dict[str, str | bytes] = {
    "README.md": "# A\n",
    "pkg/one.py": "one = 1\n",
    "pkg/logo.bin": bytes(range(256)),
    "crlf.txt": "a\r\nb\r\n",
    "é.txt": "é\n",
    "empty": "",
}
PATCH = b"--- a/pkg/one.py\n+++ b/pkg/one.py\n@@ -1 +1 @@\n-one = 1\n+one = 2\n"


async def from_git(folder: Path, into: Path) -> Base:
    make_repository(folder / "root/a", FILES)
    outbound = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)
    fetcher: GitFetcher = HttpFetcher(outbound=outbound, data_dir=folder)
    with GitHttpServer(folder / "root") as server:
        source = GitSource(url=fetcher.vet(server.url("a")))
        commit = await fetcher.resolve(source, tenant="t")
        return await fetcher.fetch(source, commit, into, tenant="t")


async def from_zip(folder: Path, into: Path) -> Base:
    with zipfile.ZipFile(folder / "code.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in FILES.items():
            archive.writestr(f"a-main/{name}", content)
    reader: ZipReader = Zips()
    await reader.vet(folder / "code.zip")
    return await reader.unpack(folder / "code.zip", into)


async def test_both_become_the_same_tree_and_the_same_change(tmp_path: Path) -> None:
    bench: PatchBench = GitPatchBench()
    fetched = await from_git(tmp_path, tmp_path / "one")
    unpacked = await from_zip(tmp_path, tmp_path / "two")
    assert fetched.tree == unpacked.tree
    one = await bench.apply(tmp_path / "one", PATCH)
    two = await bench.apply(tmp_path / "two", PATCH)
    assert one == two
    assert sorted(await bench.paths(tmp_path / "two", fetched.tree)) == sorted(FILES)


async def test_both_have_the_platforms_form(tmp_path: Path) -> None:
    await from_git(tmp_path, tmp_path / "one")
    await from_zip(tmp_path, tmp_path / "two")
    for base in (tmp_path / "one", tmp_path / "two"):
        assert git(base, "for-each-ref", "--format=%(refname)") == "refs/heads/base"
        assert (base / "config").read_text() == CONFIG
        assert (base / "info/attributes").read_text() == ATTRIBUTES
        assert not (base / "hooks").exists()


async def test_a_stored_base_is_a_base_again(tmp_path: Path) -> None:
    bench: PatchBench = GitPatchBench()
    await from_zip(tmp_path, tmp_path / "one")
    await bench.pack(tmp_path / "one", tmp_path / "base.tar.gz")
    await bench.unpack(tmp_path / "base.tar.gz", tmp_path / "two")
    one = await bench.apply(tmp_path / "one", PATCH)
    assert await bench.apply(tmp_path / "two", PATCH) == one
    assert await bench.read(tmp_path / "two", one.tree, "pkg/one.py") == b"one = 2\n"
