"""The agent as a process, started by its folder."""

import subprocess
import sys
from pathlib import Path

import codexsys_agent
from codexsys_agent.network import open_interfaces

FOLDER = Path(codexsys_agent.__file__).parent


def started(cwd: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-I", str(FOLDER), *words],
        cwd=cwd,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_workspace_shadows_nothing(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit(77)\n")
    done = started(tmp_path, "collector", "--input", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("collector: ")
    assert started(tmp_path, "checks", "--input", str(tmp_path)).returncode == 125


def test_an_open_network_or_a_missing_brief_ends_it(tmp_path: Path) -> None:
    done = started(tmp_path, "--input", str(tmp_path))
    first, second = done.stdout.splitlines()
    assert first == "codexsys agent: starting"
    assert second.startswith("refused: ")
    assert done.returncode == (9 if open_interfaces() else 1)
