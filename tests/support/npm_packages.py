"""Packages of npm, pinned in `tests/support/<name>/package.json`, for sandboxes without a network."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

_CACHE = Path.home() / ".cache/codexsys-tests"


def lay_down(folder: Path, name: str) -> None:
    """Put the pinned packages, with what they need, into a folder as a tar; they are fetched once a machine."""
    pinned = Path(__file__).parent / name / "package.json"
    wanted = _CACHE / f"{name}-{hashlib.sha256(pinned.read_bytes()).hexdigest()[:16]}.tar"
    if not wanted.exists():
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as scratch:
            shutil.copy(pinned, scratch)
            options = ("--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts")
            env = {name: value for name, value in os.environ.items() if name != "NODE_OPTIONS"}
            subprocess.run(["npm", "install", *options], cwd=scratch, env=env, check=True)
            subprocess.run(["tar", "-cf", "made.tar", "node_modules"], cwd=scratch, check=True)
            (Path(scratch) / "made.tar").rename(wanted)
    shutil.copy(wanted, folder / f"{name}.tar")
    (folder / f"{name}.tar").chmod(0o644)


def unpacked(name: str) -> str:
    """Return a setup script that leaves what `npm install` would leave."""
    return f"tar -xf /opt/codexsys/wheels/{name}.tar -C /app/code\n"
