"""The collector over trees that were made to mislead it."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tests.unit.agent.conftest import FILES, Sandbox, git


class Collected:
    """The tar, taken apart."""

    def __init__(self, data: bytes) -> None:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = [(m.name, tar.extractfile(m).read()) for m in tar]  # type: ignore[union-attr]
        self.names = [name for name, _ in members]
        self.content = dict(members)
        self.meta: dict[str, Any] = json.loads(self.content["meta.json"])
        self.changed = {c["path"]: c["status"] for c in self.meta["changed"]}
        self.flags = self.meta["flags"]


@pytest.fixture
def collect(sandbox: Sandbox) -> Any:
    def run(**order: Any) -> Collected:
        sandbox.lay("collect.json", {"base_ref": "refs/heads/base", **order})
        done = _run(sandbox)
        assert done.returncode == 0, done.stderr
        collected = Collected(done.stdout)
        assert sandbox.applies(collected.content["patch"]) == collected.meta["tree"]
        return collected

    return run


def _run(sandbox: Sandbox) -> "subprocess.CompletedProcess[bytes]":
    """Run the collector as a program: nothing else may write to its pipe."""
    names = ("code", "output", "input")
    folders = [word for name in names for word in (f"--{name}", str(sandbox.root / name))]
    argv = [sys.executable, "-m", "codexsys_agent.collector", *folders, "--base", str(sandbox.base)]
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60
    )


def test_an_untouched_tree_gives_an_empty_patch(sandbox: Sandbox, collect: Any) -> None:
    got = collect()
    assert got.names == ["meta.json", "patch"]
    assert got.meta == {
        "tree": git(sandbox.base, "rev-parse", "base^{tree}").decode().strip(),
        "changed": [],
        "flags": {},
    }


def test_every_kind_of_change_is_found(sandbox: Sandbox, collect: Any) -> None:
    code = sandbox.code
    (code / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    (code / "pkg/data.txt").unlink()
    (code / "new file\n.bin").write_bytes(bytes(range(256)))
    (code / ":odd").write_text("x")
    (code / "test_calc.py").chmod(0o755)
    (code / "link").symlink_to("/etc/passwd")
    got = collect()
    assert got.changed == {
        "calc.py": "M", "pkg/data.txt": "D", "new file\n.bin": "A", ":odd": "A",
        "test_calc.py": "M", "link": "A",
    }  # fmt: skip
    assert b"root:" not in got.content["patch"]


def test_attributes_hide_nothing_and_filter_nothing(sandbox: Sandbox, collect: Any) -> None:
    (sandbox.code / ".gitattributes").write_text("*.py -diff filter=x eol=crlf ident\n")
    (sandbox.code / "calc.py").write_bytes(b"def add(a, b):\r\n    return a + b  # $Id$\n")
    patch = collect().content["patch"]
    assert b"+    return a + b  # $Id$\n" in patch
    assert b"return a - b" in patch
    assert b"GIT binary patch" not in patch


def test_a_nested_repository_is_flagged_and_left_out(sandbox: Sandbox, collect: Any) -> None:
    nested = sandbox.code / "vendor/lib"
    nested.mkdir(parents=True)
    git(nested, "init", "-q")
    (nested / "x.py").write_text("x = 1\n")
    git(nested, "add", "x.py")
    git(nested, "commit", "-q", "-m", "x")
    tracked = sandbox.code / "pkg"
    git(tracked, "init", "-q")
    (tracked / "data.txt").write_text("changed\n")
    got = collect()
    assert sorted(got.flags["nested_git"]) == ["pkg", "vendor/lib"]
    assert got.changed == {"pkg/data.txt": "M"}


def test_a_gitlink_of_the_base_runs_nothing(sandbox: Sandbox, collect: Any) -> None:
    git(sandbox.code, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(sandbox.code, "commit", "-q", "-m", "sub")
    git(sandbox.code, "push", "-q", str(sandbox.base), "base:base")
    ran = sandbox.root / "ran"
    (sandbox.code / "sub").mkdir()
    git(sandbox.code / "sub", "init", "-q")
    git(sandbox.code / "sub", "config", "filter.x.clean", f"touch {ran}")
    git(sandbox.code, "config", "core.fsmonitor", f"touch {ran}")
    (sandbox.code / "sub/.gitattributes").write_text("* filter=x\n")
    assert collect().changed == {}
    assert not ran.exists()


def test_links_in_place_of_folders_are_not_followed(sandbox: Sandbox, collect: Any) -> None:
    outside = sandbox.root / "outside"
    (sandbox.code / "pkg").rename(outside)
    (sandbox.code / "pkg").symlink_to(outside)
    assert collect().changed == {"pkg": "A", "pkg/.gitignore": "D", "pkg/data.txt": "D"}


def test_a_file_may_become_a_folder(sandbox: Sandbox, collect: Any) -> None:
    (sandbox.code / "calc.py").unlink()
    (sandbox.code / "calc.py").mkdir()
    (sandbox.code / "calc.py/x").write_text("x")
    assert collect().changed == {"calc.py": "D", "calc.py/x": "A"}


def test_what_the_base_ignores_cannot_be_brought_back(sandbox: Sandbox, collect: Any) -> None:
    for name in ("build/x", "a.log", "pkg/made", "cache/y", "kept/made"):
        (sandbox.code / name).parent.mkdir(exist_ok=True)
        (sandbox.code / name).write_text("x")
    (sandbox.code / ".gitignore").write_text("!build\n!*.log\n")
    (sandbox.code / "pkg/.gitignore").unlink()
    (sandbox.code / "cache/.gitignore").write_text("*\n")
    changed = collect().changed
    assert changed == {".gitignore": "M", "pkg/.gitignore": "D", "kept/made": "A"}


def test_what_setup_made_is_taken_away_unless_changed(sandbox: Sandbox, collect: Any) -> None:
    (sandbox.code / "made").write_text("setup\n")
    (sandbox.code / "calc.py").write_text("setup\n")
    (sandbox.code / "AGENTS.md").unlink()
    (sandbox.code / "touched").write_text("setup\n")
    skip = collect().meta["changed"]
    (sandbox.code / "touched").write_text("agent\n")
    assert collect(skip=skip).changed == {"touched": "A"}


def test_a_huge_sparse_file_is_not_read(sandbox: Sandbox, collect: Any) -> None:
    for name in ("calc.py", "new"):
        with (sandbox.code / name).open("wb") as file:
            file.truncate(1 << 42)
    got = collect()
    assert sorted(got.flags["too_large"]) == ["calc.py", "new"]
    assert got.changed == {}


def test_paths_without_end_are_left_out(sandbox: Sandbox, collect: Any) -> None:
    before = Path.cwd()
    os.chdir(sandbox.code)
    for depth in range(3000):
        Path("d").mkdir()
        if depth % 300 == 0:
            Path("x").write_text("x")
        os.chdir("d")
    os.chdir(before)
    got = collect()
    subprocess.run(["rm", "-rf", str(sandbox.code / "d")], check=True)  # too deep for pytest's own
    assert 1 <= len(got.flags["unreadable"]) <= 3
    assert 5 <= len(got.changed) <= 7


def test_git_names_and_special_files_are_left_out(sandbox: Sandbox, collect: Any) -> None:
    (sandbox.code / "pkg/.GIT").mkdir()
    (sandbox.code / "pkg/.GIT/config").write_text("x")
    (sandbox.code / "git~1").write_text("x")
    (sandbox.code / ".gitmodules").symlink_to("calc.py")
    os.mkfifo(sandbox.code / "pipe")
    got = collect()
    assert sorted(got.flags["bad_names"]) == [".gitmodules", "git~1", "pkg/.GIT"]
    assert got.flags["special"] == ["pipe"]
    assert got.changed == {}


def test_the_workspace_may_have_lost_its_git(sandbox: Sandbox, collect: Any) -> None:
    (sandbox.code / ".git").rename(sandbox.root / "gone")
    (sandbox.code / ".git").write_text("gitdir: /etc\n")
    assert collect().changed == {}


def test_outputs_are_regular_files_within_bounds(sandbox: Sandbox, collect: Any) -> None:
    output = sandbox.root / "output"
    (output / "answer.md").write_text("hi")
    (output / "big").write_bytes(b"x" * 2000)
    (output / "link").symlink_to("/etc/passwd")
    os.mkfifo(output / "pipe")
    (output / "folder").mkdir()
    got = collect(max_bytes=1000)
    assert got.names == ["meta.json", "patch", "output/answer.md"]
    assert got.flags == {"left_out": ["big"]}
    for number in range(70):
        (output / f"many{number:02}").write_text("x")
    assert len(collect().names) == 2 + 64
    assert collect(outputs=False).names == ["meta.json", "patch"]


def test_a_huge_file_is_named_and_not_taken(sandbox: Sandbox, collect: Any) -> None:
    (sandbox.code / "huge").write_bytes(b"x" * 5000)
    (sandbox.code / "calc.py").write_bytes(b"x" * 5000)
    got = collect(max_bytes=4000)
    assert sorted(got.flags["too_large"]) == ["calc.py", "huge"]
    assert got.changed == {}


def test_blobs_are_named_as_git_names_them(sandbox: Sandbox, collect: Any) -> None:
    (sandbox.code / "calc.py").write_text("x\n")
    blob = hashlib.sha1(b"blob 2\0x\n").hexdigest()
    assert collect().meta["changed"] == [
        {"path": "calc.py", "mode": "100644", "blob": blob, "status": "M"}
    ]
    assert set(FILES) - {"calc.py"}


def test_a_failure_is_one_line_and_exit_one(sandbox: Sandbox) -> None:
    unread = _run(sandbox)
    sandbox.lay("collect.json", {"base_ref": "refs/heads/none"})
    unknown = _run(sandbox)
    for done in (unread, unknown):
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.startswith(b"collector:")
        assert done.stderr.count(b"\n") == 1
