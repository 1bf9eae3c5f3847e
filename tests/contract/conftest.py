"""What many suites begin with."""

import subprocess
from pathlib import Path

import pytest

from codexsys_core.ids import TimeOrderedIds


@pytest.fixture
def ids() -> TimeOrderedIds:
    return TimeOrderedIds()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A repository in which nothing is."""
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "base.git")], check=True)
    return tmp_path / "base.git"


@pytest.fixture
def platform(ids: TimeOrderedIds) -> str:
    """A platform's name, as a cluster takes it."""
    return ids.new("p").replace("_", "-")
