"""Patches are applied in an index only, and hostile ones not at all."""

import os
import zipfile
from pathlib import Path

import pytest
from tests.support.git_http import git
from tests.unit.adapters.git.bases import listed

from codexsys_adapters.git import GitPatchBench
from codexsys_adapters.git.command import Limits
from codexsys_core.errors import TooLarge
from codexsys_core.patch import PatchRefused


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
