"""Wheels that a sandbox installs this project's own unit tests from."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_WANTED = frozenset(
    [
        "annotated-types",
        "iniconfig",
        "packaging",
        "pluggy",
        "pydantic",
        "pydantic-core",
        "pygments",
        "pytest",
        "pytest-asyncio",
        "pytest-timeout",
        "typing-extensions",
        "typing-inspection",
    ]
)
RUNNER = frozenset(["iniconfig", "packaging", "pluggy", "pygments", "pytest"])
"""What pytest alone needs."""
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"
SETUP = """
set -eu
site=$(python3 -m site --user-site)
mkdir -p "$site"
for wheel in /opt/codexsys/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$site"; done
"""
"""An environment's setup script that needs neither pip nor a network."""


def lay_down(folder: Path, names: frozenset[str] = _WANTED) -> None:
    """Download the locked versions for the Python that sandboxes see."""
    blocks = re.split(r"\n(?=[A-Za-z0-9])", (ROOT / "requirements.lock").read_text())
    wanted = [each for each in blocks if (name := _NAME.match(each)) and name[0] in names]
    assert len(wanted) == len(names)
    download(folder, "\n".join(wanted), "--require-hashes")


def download(folder: Path, requirements: str, *options: str) -> None:
    """Fetch wheels for the Python that sandboxes see, and nothing that they need."""
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")
    assert python, "a sandbox on this machine has no python3"
    version = subprocess.run([python, "-c", _VERSION], capture_output=True, check=True).stdout
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "-q", "--no-deps", *options),
            *("--only-binary", ":all:", "--python-version", version.decode().strip()),
            *("-r", "/dev/stdin", "-d", str(folder)),
        ],
        input=requirements.encode(),
        check=True,
    )
