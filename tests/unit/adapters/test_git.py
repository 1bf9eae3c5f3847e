import asyncio
import io
import os
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.git_http import GitHttpServer, git, make_repository

from codexsys_adapters.git import FetchLimits, GitFetcher, GitPatchBench
from codexsys_adapters.git.command import Git, GitTooLarge, GitTooSlow, Limits
from codexsys_adapters.outbound import Outbound, Target
from codexsys_core.errors import Invalid, PlatformError, TooLarge
from codexsys_core.patch import PatchRefused
from codexsys_core.source import Base, GitSource, SourceFailure

LOOPBACK = Outbound(allow_networks=["127.0.0.0/8"], allow_http=True)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def server(root: Path) -> Iterator[GitHttpServer]:
    root.mkdir()
    with GitHttpServer(root) as server:
        yield server


def fetcher(
    folder: Path, outbound: Outbound = LOOPBACK, limits: FetchLimits | None = None
) -> GitFetcher:
    return GitFetcher(outbound=outbound, data_dir=folder, limits=limits)


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


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


async def test_a_command_that_takes_too_much_is_ended(tmp_path: Path) -> None:
    make_repository(tmp_path / "a", {"x": "x" * 1000})
    place = tmp_path / "a" / ".git"
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(GitTooLarge):
        await Git(limits=Limits(output_bytes=10)).run("cat-file", "-p", "HEAD:x", directory=place)
    with pytest.raises(GitTooSlow):
        await Git(programme=str(slow), limits=Limits(seconds=0.05)).run("x", directory=place)


# the bench


@pytest.fixture
async def base(tmp_path: Path, root: Path, server: GitHttpServer) -> Path:
    files: dict[str, str | bytes] = {
        "x.py": "one\ntwo\n",
        "keep/y.txt": "$Format:%H$ $Id$\r\nhello\r\n",
        "hidden/z.txt": "z\n",
        ".gitattributes": "*.py -diff\nhidden export-ignore\nkeep/* export-subst ident text eol=lf\n",
        "logo.bin": bytes(range(256)),
    }
    make_repository(root / "a", {})
    (root / "a/.git/info/attributes").write_text("* -text -ident\n")
    make_repository(root / "a", files)
    into = tmp_path / "base"
    await fetcher(tmp_path).fetch(GitSource(url=server.url("a")), None, into, tenant="t")
    return into


def edited(base: Path, folder: Path, change: dict[str, str | bytes | None]) -> bytes:
    """Make a patch as a collector does."""
    git(folder, "clone", "--quiet", "--no-checkout", f"file://{base}", "work")
    work = folder / "work"
    (work / ".git/info/attributes").write_bytes((base / "info/attributes").read_bytes())
    git(work, "checkout", "--quiet", "base")
    for name, content in change.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)
    git(work, "add", "--all")
    git(work, "diff", "--cached", "--binary", "--full-index", "--output=../patch")
    return (folder / "patch").read_bytes()


async def test_the_diff_is_made_from_the_two_trees(base: Path, tmp_path: Path) -> None:
    patch = edited(
        base, tmp_path, {"x.py": "one\n2\nthree\n", "new/a.txt": "a\n", "hidden/z.txt": None}
    )
    bench = GitPatchBench()
    made = await bench.apply(base, patch)
    assert [(file.status, file.path) for file in made.files] == [
        ("D", "hidden/z.txt"),
        ("A", "new/a.txt"),
        ("M", "x.py"),
    ]
    assert (made.insertions, made.deletions) == (3, 2)
    assert b"-two\n+2\n+three\n" in made.diff  # in spite of `*.py -diff`
    assert await bench.read(base, made.tree, "x.py") == b"one\n2\nthree\n"
    assert await bench.read(base, made.tree, "hidden/z.txt") is None
    again = await bench.apply(base, made.diff)
    assert again == made


async def test_binary_files_come_through(base: Path, tmp_path: Path) -> None:
    content = os.urandom(5000)
    made = await GitPatchBench().apply(base, edited(base, tmp_path, {"logo.bin": content}))
    assert await GitPatchBench().read(base, made.tree, "logo.bin") == content
    assert b"GIT binary patch" in made.diff


async def test_no_patch_is_no_change(base: Path) -> None:
    made = await GitPatchBench().apply(base, b"\n")
    assert made.empty
    assert made.diff == b""


async def test_no_attribute_of_the_tree_hides_or_changes_a_file(base: Path, tmp_path: Path) -> None:
    bench = GitPatchBench()
    tree = (await bench.apply(base, b"")).tree
    await bench.archive(base, tree, tmp_path / "out.zip", most_bytes=1 << 20)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert sorted(archive.namelist()) == sorted(
            [*await bench.paths(base, tree), "hidden/", "keep/"]
        )
        assert archive.read("keep/y.txt") == b"$Format:%H$ $Id$\r\nhello\r\n"


async def test_a_tree_that_is_too_large_is_not_written(base: Path, tmp_path: Path) -> None:
    bench = GitPatchBench()
    made = await bench.apply(base, edited(base, tmp_path, {"zeros.bin": bytes(8 << 20)}))
    assert len(made.diff) < 100_000
    into = tmp_path / "out.zip"
    with pytest.raises(TooLarge):
        await bench.archive(base, made.tree, into, most_bytes=4 << 20)
    assert not into.exists()
    small = GitPatchBench(limits=Limits(file_bytes=200))
    with pytest.raises(TooLarge):
        await small.archive(base, made.tree, into, most_bytes=1 << 30)


def new_file(path: str, content: str = "x", mode: str = "100644") -> str:
    return (
        f'diff --git "a/{path}" "b/{path}"\nnew file mode {mode}\n--- /dev/null\n+++ "b/{path}"\n'
        f"@@ -0,0 +1 @@\n+{content}\n\\ No newline at end of file\n"
    )


@pytest.mark.parametrize(
    "patch",
    [
        new_file("../evil"),
        new_file("d/../../evil"),
        new_file("/etc/evil"),
        new_file(".git/config"),
        new_file(".GIT/hooks/post-checkout"),
        new_file("d/.git/config"),
        new_file("git~1/config"),
        new_file(".git./config"),
        new_file(".g\u200cit/config"),
        new_file(".gitmodules"),
        new_file(".GitModules"),
        new_file("d/.gitmodules"),
        new_file("link", "/etc", "120000") + new_file("link/evil"),
        new_file("sub", "Subproject commit " + "1" * 40, "160000"),
        new_file("x.py/below"),
        new_file("\\377"),
        "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-other\n+x\n",
        "--- a/none.py\n+++ b/none.py\n@@ -1 +1 @@\n-other\n+x\n",
        "nonsense",
    ],
)
async def test_hostile_patches_are_refused(base: Path, tmp_path: Path, patch: str) -> None:
    before = listed(tmp_path)
    with pytest.raises(PatchRefused):
        await GitPatchBench().apply(base, patch.encode())
    assert listed(tmp_path) == before
    assert git(base, "for-each-ref").count("\n") == 0


async def test_only_regular_files_are_read(base: Path) -> None:
    bench = GitPatchBench()
    made = await bench.apply(base, new_file("l", "x.py", "120000").encode())
    for path in ("l", "keep", "", "/x.py", "../x.py", "x.py/", "*.py", ":(top)x.py", "no"):
        assert await bench.read(base, made.tree, path) is None


async def test_a_file_that_is_too_large_to_read_is_said_to_be(base: Path, tmp_path: Path) -> None:
    large = await GitPatchBench().apply(base, edited(base, tmp_path, {"a.bin": bytes(2 << 20)}))
    bench = GitPatchBench(limits=Limits(output_bytes=1 << 20))
    assert "a.bin" in await bench.paths(base, large.tree)
    with pytest.raises(TooLarge):
        await bench.read(base, large.tree, "a.bin")


async def test_what_nobody_reads_any_more_keeps_no_process(tmp_path: Path) -> None:
    floods = tmp_path / "floods"
    floods.write_text(
        f"#!{sys.executable}\nimport fcntl, os, time\n"
        "fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)\nos.write(1, bytes(1 << 20))\ntime.sleep(60)\n"
    )
    floods.chmod(0o755)
    git = Git(programme=str(floods), limits=Limits(output_bytes=1))
    async with asyncio.timeout(20):
        with pytest.raises(GitTooLarge):
            await git.run("status", directory=None)


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
