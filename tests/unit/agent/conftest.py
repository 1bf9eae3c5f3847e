"""A small repository with its base, laid out as in a sandbox, and a way to run the agent on it."""

import json
import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codexsys_agent.main import work
from codexsys_agent.model import Pace
from codexsys_agent.run import Places
from codexsys_agent.shell import child_environment
from codexsys_agent.stop import Stop

FILES = {
    "calc.py": "def add(a, b):\n    return a - b\n",
    "test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n",
    "AGENTS.md": "Keep it small.\n",
    ".gitignore": "*.log\nbuild/\n",
    "pkg/.gitignore": "/made\n",
    "pkg/data.txt": "data\n",
}


def git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=env, input=given, capture_output=True, check=True
    )
    return done.stdout


@dataclass
class Sandbox:
    """The folders of a sandbox."""

    root: Path

    @property
    def code(self) -> Path:
        return self.root / "code"

    @property
    def base(self) -> Path:
        return self.root / "base.git"

    @property
    def places(self) -> Places:
        return Places(
            self.code, self.root / "output", self.root / "input", self.base, self.root / "tmp"
        )

    def lay(self, name: str, content: dict[str, Any]) -> None:
        (self.root / "input" / name).write_text(json.dumps(content))

    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "output/result.json").read_text())
        return found

    def applies(self, patch: bytes) -> str:
        """The tree that the patch makes of the base, in an index only."""
        check = self.root / "check.git"
        if not check.exists():
            git(self.root, "clone", "-q", "--bare", str(self.base), str(check))
        git(check, "read-tree", "base")
        git(check, "apply", "--cached", "--allow-empty", "-", given=patch)
        return git(check, "write-tree").decode().strip()


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    made = Sandbox(tmp_path)
    for name in ("code", "output", "input", "tmp"):
        (tmp_path / name).mkdir()
    for name, content in FILES.items():
        (made.code / name).parent.mkdir(exist_ok=True)
        (made.code / name).write_text(content)
    git(made.code, "init", "-q", "-b", "base")
    git(made.code, "add", "-A")
    git(made.code, "commit", "-q", "-m", "base")
    git(tmp_path, "clone", "-q", "--bare", str(made.code), str(made.base))
    return made


Worker = Callable[..., int]


@pytest.fixture
def run_agent(sandbox: Sandbox) -> Worker:
    """Run the agent to its exit code; keywords are the brief's."""

    def run(url: str, stop: Stop | None = None, idle: float = 5.0, **brief: Any) -> int:
        default = {
            "v": 1,
            "task_id": "tsk_1",
            "attempt": 1,
            "mode": "modify",
            "engine": "builtin",
            "model": "scripted",
            "prompt": "add() must add",
            "limits": {"steps": 20},
            "door": url,
        }
        sandbox.lay("brief.json", {**default, **brief})
        pace = Pace(idle_seconds=idle, first_wait=0.01, patience_seconds=0.5, close_seconds=1.0)
        env = child_environment({"PATH": os.environ["PATH"], "HOME": str(sandbox.root)})
        return int(work(sandbox.places, env, stop or Stop(), pace))

    return run
