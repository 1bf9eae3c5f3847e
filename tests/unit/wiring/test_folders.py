"""Folders of works: kept while their worker's process lives, gone once it is dead."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codexsys_wiring.folders import Folders

WORKER = """
import sys
from pathlib import Path
from codexsys_wiring.folders import Folders
folders = Folders(Path(sys.argv[1]))
folders.open()
(folders.new() / "base.git").mkdir()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another worker's process, with a work under way."""
    argv = [sys.executable, "-c", WORKER, str(tmp_path)]
    with subprocess.Popen(
        argv, env={}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def works(root: Path) -> list[Path]:
    return list(root.glob("*/work-*"))


def test_a_living_workers_folders_are_left_alone(
    tmp_path: Path, other: "subprocess.Popen[str]"
) -> None:
    mine = Folders(tmp_path)
    mine.open()
    assert mine.new().is_dir()
    assert len(works(tmp_path)) == 2
    mine.close()
    assert len(works(tmp_path)) == 1


def test_what_a_killed_worker_left_is_removed_at_the_next_start(
    tmp_path: Path, other: "subprocess.Popen[str]"
) -> None:
    other.kill()
    other.wait()
    assert len(works(tmp_path)) == 1
    mine = Folders(tmp_path)
    mine.open()
    assert works(tmp_path) == []
    mine.close()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_lock_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / "work-old" / "base.git").mkdir(parents=True)
    (tmp_path / "a-file").touch()
    mine = Folders(tmp_path)
    mine.open()
    assert not (tmp_path / "work-old").exists()
    mine.close()
