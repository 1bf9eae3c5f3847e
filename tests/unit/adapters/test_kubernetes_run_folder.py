"""A folder that goes into a pod, and what a hostile pod sends back."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from codexsys_adapters.kubernetes.runs.folder import Changes, Folder
from codexsys_core.errors import Invalid


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "work"
    (made / "src").mkdir(parents=True)
    (made / ".git/hooks").mkdir(parents=True)
    (made / "src/a.py").write_text("one\n")
    (made / "src/b.py").write_text("two\n")
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o755)
    (made / ".git/config").write_text("[core]\n")
    (made / "link").symlink_to("src/a.py")
    (made / "away").symlink_to("/etc/hostname")
    (tmp_path / "outside").write_text("mine\n")
    return made


@pytest.fixture
def sent(root: Path) -> tuple[Folder, Path]:
    """Return the folder after it went in, and what the pod has of it then."""
    folder = Folder(root)
    spool = io.BytesIO()
    folder.pack(spool)
    spool.seek(0)
    inside = root.parent / "inside"
    inside.mkdir()
    with tarfile.open(fileobj=spool) as archive:
        archive.extractall(inside, filter="fully_trusted")
    return folder, inside


def back(folder: Folder, inside: Path, *more: tarfile.TarInfo, data: bytes = b"") -> Changes:
    """Send back what the pod has, and entries that it made up."""
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w") as archive:
        archive.add(inside, arcname=".")
        for member in more:
            member.size = len(data) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(data))
    spool.seek(0)
    return folder.take(spool)


def entry(name: str, kind: bytes = tarfile.REGTYPE, to: str = "", mode: int = 0o644) -> Any:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, to, mode
    return member


def everything(root: Path) -> dict[str, str]:
    found = {}
    for path in sorted(root.parent.rglob("*")):
        if not path.is_relative_to(root.parent / "inside"):
            name = str(path.relative_to(root.parent))
            if path.is_symlink():
                found[name] = f"-> {path.readlink()}"
            else:
                found[name] = "" if path.is_dir() else path.read_text()
    return found


def test_what_went_in_and_comes_back_as_it_was_changes_nothing(
    root: Path, sent: tuple[Folder, Path]
) -> None:
    before = {path: path.lstat().st_ctime_ns for path in root.rglob("*")}
    assert back(*sent) == Changes()
    assert {path: path.lstat().st_ctime_ns for path in root.rglob("*")} == before


def test_changes_come_back(root: Path, sent: tuple[Folder, Path]) -> None:
    folder, inside = sent
    (inside / "src/a.py").write_text("changed\n")
    (inside / "src/a.py").chmod(0o755)
    (inside / "src/b.py").unlink()
    (inside / "new/deep").mkdir(parents=True)
    (inside / "new/deep/c.py").write_text("three\n")
    os.link(inside / "new/deep/c.py", inside / "new/second")
    (inside / "new/up").symlink_to("../src/a.py")
    (inside / "run.sh").unlink()
    (inside / "run.sh").mkdir()
    (inside / "run.sh/x").write_text("x")
    changes = back(folder, inside)
    assert changes.left == []
    assert sorted(changes.written) == [
        "new/deep/c.py",
        "new/second",
        "new/up",
        "run.sh/x",
        "src/a.py",
    ]
    assert changes.removed == ["src/b.py"]
    assert (root / "src/a.py").read_text() == "changed\n"
    assert os.access(root / "src/a.py", os.X_OK)
    assert (root / "new/second").read_text() == "three\n"
    assert (root / "new/up").readlink() == Path("../src/a.py")
    assert not (root / "src/b.py").exists()
    assert (root / "away").is_symlink()


def test_a_folder_that_was_emptied_is_gone(root: Path, sent: tuple[Folder, Path]) -> None:
    folder, inside = sent
    (root / "src/mine").write_text("made here meanwhile")
    for name in ("src/a.py", "src/b.py"):
        (inside / name).unlink()
    (inside / "src").rmdir()
    assert sorted(back(folder, inside).removed) == ["src/a.py", "src/b.py"]
    assert [path.name for path in (root / "src").iterdir()] == ["mine"]


def test_what_changed_here_meanwhile_is_left_alone(root: Path, sent: tuple[Folder, Path]) -> None:
    folder, inside = sent
    (root / "src/a.py").write_text("mine\n")
    (root / "src/b.py").write_text("mine, too\n")
    (root / "both").write_text("here\n")
    (inside / "src/a.py").write_text("theirs\n")
    (inside / "src/b.py").unlink()
    (inside / "both").write_text("there\n")
    before = everything(root)
    changes = back(folder, inside)
    assert len(changes.left) == 3
    assert all("meanwhile" in each for each in changes.left)
    assert everything(root) == before


@pytest.mark.parametrize(
    "made_up",
    [
        [entry("/outside")],
        [entry("../outside")],
        [entry("src/../../outside")],
        [entry("away/x")],
        [entry("out", tarfile.SYMTYPE, "..")],
        [entry("out", tarfile.SYMTYPE, "/etc")],
        [entry("out", tarfile.SYMTYPE, "src/../../outside")],
        [entry("src/out", tarfile.SYMTYPE, "../../outside")],
        [
            entry("src/up", tarfile.SYMTYPE, ".."),
            entry("out", tarfile.SYMTYPE, "src/up/../outside"),
        ],
        [entry("in", tarfile.SYMTYPE, "src"), entry("in/x")],
        [entry("hard", tarfile.LNKTYPE, "../outside")],
        [entry("hard", tarfile.LNKTYPE, "/etc/hostname")],
        [entry("hard", tarfile.LNKTYPE, "hard")],
        [entry("pipe", tarfile.FIFOTYPE)],
        [entry("disk", tarfile.BLKTYPE)],
        [entry(".git/hooks/post-checkout", mode=0o755)],
        [entry(".GIT/config")],
        [entry("src/.git/config")],
        [entry("src/.git", tarfile.DIRTYPE)],
        [entry("mine", tarfile.SYMTYPE, ".git/hooks")],
    ],
    ids=lambda members: " ".join(f"{each.name}:{each.linkname}" for each in members),
)
def test_a_hostile_archive_gets_nowhere(
    root: Path, sent: tuple[Folder, Path], made_up: list[tarfile.TarInfo]
) -> None:
    folder, inside = sent
    before = everything(root)
    changes = back(folder, inside, *made_up, data=b"")
    assert changes.left
    safe = {"work/in", "work/src/up"}
    assert {name: now for name, now in everything(root).items() if name not in safe} == before
    assert (root.parent / "outside").read_text() == "mine\n"


def test_git_stays_as_it_is_here(root: Path, sent: tuple[Folder, Path]) -> None:
    folder, inside = sent
    (inside / ".git/config").write_text("[core]\n fsmonitor = touch /tmp/x\n")
    (inside / ".git/hooks").rmdir()
    changes = back(folder, inside)
    assert changes.left == [".git/config: belongs to Git, and stays as it is here"]
    assert (root / ".git/config").read_text() == "[core]\n"
    (inside / ".git/config").unlink()
    assert back(folder, inside).left == [".git/config: was removed, but belongs to Git"]
    assert (root / ".git/hooks").is_dir()


def test_a_link_in_the_place_of_a_folder_is_not_followed(
    root: Path, sent: tuple[Folder, Path], tmp_path: Path
) -> None:
    """Somebody here swaps a folder for a link while the command runs."""
    folder, inside = sent
    elsewhere = tmp_path / "elsewhere"
    (root / "src").rename(elsewhere)
    (root / "src").symlink_to(elsewhere)
    (inside / "src/a.py").write_text("theirs\n")
    (inside / "src/b.py").unlink()
    back(folder, inside)
    assert (elsewhere / "a.py").read_text() == "one\n"
    assert (elsewhere / "b.py").is_file()


def test_a_file_in_the_place_of_a_link_is_not_written_through_it(
    root: Path, sent: tuple[Folder, Path]
) -> None:
    folder, inside = sent
    (inside / "away").unlink()
    assert back(folder, inside, entry("away"), data=b"x").written == ["away"]
    assert not (root / "away").is_symlink()


def test_it_gets_no_bit_of_another_user(root: Path, sent: tuple[Folder, Path]) -> None:
    folder, inside = sent
    back(folder, inside, entry("tool", mode=0o6777), data=b"x")
    assert (root / "tool").stat().st_mode & 0o7000 == 0


def test_many_names_of_one_file_do_not_fill_the_disk(root: Path) -> None:
    folder, inside = Folder(root, most_bytes=100), root.parent / "inside"
    folder.pack(io.BytesIO())
    inside.mkdir()
    (inside / "big").write_bytes(b"x" * 50)
    names = [entry(f"copy-{number}", tarfile.LNKTYPE, "./big") for number in range(20)]
    with pytest.raises(Invalid, match="more came back"):
        back(folder, inside, *names)
    assert sum(path.stat().st_size for path in root.glob("copy-*")) <= 100


def test_half_an_archive_changes_nothing(root: Path, sent: tuple[Folder, Path]) -> None:
    folder, inside = sent
    (inside / "src/a.py").write_text("changed\n")
    (inside / "zz").write_bytes(b"x" * 50_000)
    spool = io.BytesIO()
    with tarfile.open(fileobj=spool, mode="w") as archive:
        archive.add(inside, arcname=".")
    before = everything(root)
    for broken in (spool.getvalue()[: len(spool.getvalue()) // 2], b"no archive" * 1000):
        with pytest.raises(Invalid, match="cannot be read"):
            folder.take(io.BytesIO(broken))
    assert everything(root) == before
