"""Bases are fetched whole, from where they should be, and nothing else is."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.support.git_http import GitHttpServer, git, make_repository
from tests.unit.adapters.git.bases import fetcher, listed

from codexsys_adapters.git import FetchLimits, GitFetcher, GitPatchBench
from codexsys_adapters.outbound import Outbound, Target
from codexsys_core.errors import Invalid
from codexsys_core.source import Base, GitSource, SourceFailure


async def failure(fetcher: GitFetcher, into: Path, url: str, ref: str | None = None) -> str:
    with pytest.raises(SourceFailure) as failed:
        await fetcher.fetch(GitSource(url=url, ref=ref), None, into, tenant="t")
    assert into.name not in listed(into.parent)
    assert failed.value.detail.endswith(".")
    return failed.value.reason


def content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


async def test_a_base_has_one_ref_a_history_and_nothing_else(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    commit = ""
    for number in range(60):
        commit = make_repository(root / "a", {"n.txt": str(number)}, f"change {number}")
    git(root / "a", "branch", "other")
    into = tmp_path / "base"
    base = await fetcher(tmp_path).fetch(GitSource(url=server.url("a")), None, into, tenant="t")
    assert base.commit == commit
    assert (
        git(into, "for-each-ref", "--format=%(objectname) %(refname)")
        == f"{commit} refs/heads/base"
    )
    assert git(into, "rev-list", "--count", "HEAD") == "50"
    assert git(into, "config", "--local", "--list").count("\n") == 2
    assert listed(into) == ["HEAD", "config", "info", "objects", "refs", "shallow"]
    git(into, "fsck")


@pytest.mark.parametrize("ref", ["main", "v1", "refs/heads/main", "refs/tags/v1", "HEAD", None])
async def test_a_ref_is_resolved_to_its_commit(
    tmp_path: Path, root: Path, server: GitHttpServer, ref: str | None
) -> None:
    commit = make_repository(root / "a", {"x": "x"})
    git(root / "a", "tag", "-a", "-m", "one", "v1")
    source = GitSource(url=server.url("a"), ref=ref)
    assert await fetcher(tmp_path).resolve(source, tenant="t") == commit


async def test_an_older_commit_is_fetched_by_its_id(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    first = make_repository(root / "a", {"x": "1"})
    make_repository(root / "a", {"x": "2"})
    source = GitSource(url=server.url("a"), ref=first.upper())
    base = await fetcher(tmp_path).fetch(source, None, tmp_path / "base", tenant="t")
    assert base.commit == first


async def test_a_mirror_that_has_the_commit_still_asks_the_remote(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    commit = make_repository(root / "a", {"x": "1"})
    source = GitSource(url=server.url("a"))
    fetches = fetcher(tmp_path)
    await fetches.fetch(source, commit, tmp_path / "one", tenant="t")
    packs = sum("git-upload-pack" in request for request in server.requests)
    await fetches.fetch(source, commit, tmp_path / "two", tenant="t")
    assert sum("git-upload-pack" in request for request in server.requests) > packs
    server.statuses["/a"] = 403
    with pytest.raises(SourceFailure) as failed:
        await fetches.fetch(source, commit, tmp_path / "three", tenant="t")
    assert failed.value.reason == "source_auth"


async def test_a_kept_base_is_the_same_and_only_the_last_ones_are_kept(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    fetches, source = fetcher(tmp_path), GitSource(url=server.url("a"))
    made: list[Base] = []
    for number in range(5):
        commit = make_repository(root / "a", {"x": str(number)})
        made = [
            await fetches.fetch(source, None, tmp_path / f"{commit}-{time}", tenant="t")
            for time in ("first", "second")
        ]
        assert made[0] == made[1]
        assert made[0].commit == commit
        first, second = (tmp_path / f"{commit}-{time}" for time in ("first", "second"))
        assert content(first) == content(second)
        git(second, "fsck")
    (kept,) = (tmp_path / "mirrors").glob("*.bases")
    assert len(listed(kept)) == 3
    assert made[0].commit in listed(kept)


async def test_tenants_share_no_mirror(tmp_path: Path, root: Path, server: GitHttpServer) -> None:
    make_repository(root / "a", {"x": "1"})
    fetches = fetcher(tmp_path)
    for tenant in ("one", "two"):
        source = GitSource(url=server.url("a"))
        await fetches.fetch(source, None, tmp_path / tenant, tenant=tenant)
    assert len(list((tmp_path / "mirrors").glob("*.git"))) == 2


async def test_many_fetches_of_one_repository_at_once(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    commit = make_repository(root / "a", {"x": "1"})
    source, fetches = GitSource(url=server.url("a")), fetcher(tmp_path)
    async with asyncio.TaskGroup() as group:
        made = [
            group.create_task(fetches.fetch(source, None, tmp_path / f"b{n}", tenant="t"))
            for n in range(4)
        ]
    assert {task.result().commit for task in made} == {commit}


@pytest.mark.parametrize(
    ("name", "ref", "reason"),
    [
        ("nothing", None, "source_auth"),
        ("empty", None, "repository_empty"),
        ("empty", "main", "repository_empty"),
        ("a", "missing", "ref_not_found"),
        ("a", "0" * 40, "ref_not_found"),
        ("a", "abc1234", "ref_not_found"),
        ("a", "--upload-pack=id", "ref_not_found"),
        ("a", "a b", "ref_not_found"),
        ("a", "main:refs/heads/x", "ref_not_found"),
        ("a", "blob", "ref_not_found"),
        ("private", None, "source_auth"),
        ("forbidden", None, "source_auth"),
        ("broken", None, "source_unreachable"),
        ("moved", None, "address_denied"),
        ("page", None, "source_unreachable"),
    ],
)
async def test_each_failure_has_its_reason(
    tmp_path: Path, root: Path, server: GitHttpServer, name: str, ref: str | None, reason: str
) -> None:
    make_repository(root / "a", {"x": "x"})
    git(root / "a", "tag", "blob", "HEAD:x")
    (root / "empty").mkdir()
    git(root / "empty", "init", "--quiet")
    server.statuses |= {"/private": 401, "/forbidden": 403, "/broken": 500, "/page": 200}
    server.redirects["/moved"] = server.url("a")
    assert await failure(fetcher(tmp_path), tmp_path / "base", server.url(name), ref) == reason


async def test_a_login_that_is_missing_is_never_asked_for(tmp_path: Path, root: Path) -> None:
    make_repository(root / "a", {"x": "x"})
    with GitHttpServer(root, user="ada", password="secret") as server:
        assert await failure(fetcher(tmp_path), tmp_path / "b", server.url("a")) == "source_auth"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost:1/a", "connection_refused"),
        ("http://nowhere.invalid/a", "host_unknown"),
        ("http://10.0.0.1/a", "address_denied"),
        ("http://0x7f.1/a", "source_refused"),
        ("file:///etc", "source_refused"),
    ],
)
async def test_addresses_are_judged_before_git_starts(
    tmp_path: Path, url: str, reason: str
) -> None:
    assert await failure(fetcher(tmp_path), tmp_path / "base", url) == reason


async def test_a_private_address_behind_a_name_is_denied(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    make_repository(root / "a", {"x": "x"})
    strict = fetcher(tmp_path, Outbound(allow_http=True))
    url = server.url("a", host="localhost")
    assert await failure(strict, tmp_path / "base", url) == "address_denied"
    assert server.requests == []


async def test_git_connects_to_the_checked_address_and_asks_no_resolver(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    commit = make_repository(root / "a", {"x": "x"})
    target = Target("http", "pinned.invalid", server.port, "/a", literal=False)
    found = await fetcher(tmp_path)._list(target.at(("127.0.0.1",)), "HEAD")
    assert found == {"HEAD": commit}


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/a?x=y", "http://127.0.0.1/a%0ahost=b", "http://127.0.0.1/a%00b", "/a", "-x"],
)
def test_a_git_url_is_plainer_than_others(tmp_path: Path, url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        fetcher(tmp_path).vet(url)
    assert refusal.value.code == "url_refused"


async def test_what_is_too_large_is_refused(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    make_repository(root / "a", {"x": os.urandom(1 << 20), "y": "y", "z": bytes(2 << 20)})
    url = server.url("a")
    for number, limits in enumerate(
        (
            FetchLimits(pack_bytes=100_000),
            FetchLimits(tree_bytes=1 << 20),
            FetchLimits(tree_files=2),
        )
    ):
        folder = tmp_path / str(number)
        reason = await failure(fetcher(folder, limits=limits), folder / "base", url)
        assert reason == "source_too_large"


async def test_a_hostile_tree_is_refused_by_fsck(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    make_repository(root / "a", {"x": "x"})
    blob = git(root / "a", "rev-parse", "HEAD:x")
    (root / "tree").write_bytes(b"100644 .git\0" + bytes.fromhex(blob))
    tree = git(root / "a", "hash-object", "-t", "tree", "-w", "--literally", str(root / "tree"))
    commit = git(root / "a", "commit-tree", "-m", "evil", tree)
    git(root / "a", "update-ref", "refs/heads/main", commit)
    assert await failure(fetcher(tmp_path), tmp_path / "b", server.url("a")) == "source_refused"
    assert not list((tmp_path / "mirrors").glob("*.git"))


async def test_submodules_are_left_empty_and_refused_when_asked_for(
    tmp_path: Path, root: Path, server: GitHttpServer
) -> None:
    commit = make_repository(root / "a", {"x": "x"})
    git(root / "a", "update-index", "--add", "--cacheinfo", f"160000,{commit},sub")
    git(root / "a", "commit", "--quiet", "-m", "gitlink")
    fetches, url = fetcher(tmp_path), server.url("a")
    base = await fetches.fetch(GitSource(url=url), None, tmp_path / "base", tenant="t")
    assert await GitPatchBench().paths(tmp_path / "base", base.tree) == ["x"]
    with pytest.raises(SourceFailure) as failed:
        await fetches.fetch(GitSource(url=url, submodules=True), None, tmp_path / "c", tenant="t")
    assert failed.value.reason == "source_refused"
