"""The suites of sandboxes once more, as an ordinary user has them: nothing of it may be left out."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.support import ordinary_user

SUITES = ("test_sandbox_backend.py", "test_sandbox_isolating.py", "test_sandbox_walls.py")
SECONDS = 900


@pytest.mark.timeout(SECONDS)
def test_local_sandboxes_of_an_ordinary_user() -> None:
    with tempfile.TemporaryDirectory(prefix="codexsys-user-") as folder:
        counted, text = run_suites(Path(folder))
    assert counted.pop("tests", 0) > 50, text
    assert set(counted.values()) == {0}, text


def run_suites(folder: Path) -> tuple[dict[str, int], str]:
    """Run them as a user of its own where we are root, as ourselves otherwise; return the counts."""
    report = folder / "report.xml"
    suites = [str(Path(__file__).with_name(name)) for name in SUITES]
    become = (
        [sys.executable, "-P", ordinary_user.__file__, str(folder)] if os.geteuid() == 0 else []
    )
    options = ["-q", "-k", "local", "-p", "no:cacheprovider", f"--basetemp={folder / 'tests'}"]
    done = subprocess.run(
        [*become, sys.executable, "-m", "pytest", *options, f"--junitxml={report}", *suites],
        cwd=ordinary_user.REPOSITORY,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    text = done.stdout[-8000:] + done.stderr[-2000:]
    if not report.exists():
        return {}, text
    suite = ElementTree.parse(report).getroot()[0]
    return {
        name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")
    }, text
