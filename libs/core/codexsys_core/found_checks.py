"""Finds how a project checks itself, when nobody has said it: by its own files, never by guessing.

The files may be hostile. What is large is passed over, and what is searched is searched in linear time.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from fnmatch import fnmatchcase

from pydantic import BaseModel, ConfigDict

Read = Callable[[str], Awaitable[bytes | None]]
_Small = Callable[[str], Awaitable[bytes]]
_PYTEST = "python3 -m pytest -q"
_PYTEST_FILES = ("pytest.ini", ".pytest.ini", "pytest.toml", "conftest.py", "tests/conftest.py")
_PYTEST_SECTIONS = (
    ("pyproject.toml", b"[tool.pytest"),
    ("setup.cfg", b"[tool:pytest]"),
    ("tox.ini", b"[pytest]"),
)
_LARGEST = 256 * 1024
_CI = (".github/workflows/*.yml", ".github/workflows/*.yaml", ".gitlab-ci.yml")
_MOST_CI_FILES = 10
_IN_CI = re.compile(
    r"^[ \t]*(?:-[ \t]+)?(?:(?:run|script):[ \t]*)?"
    r"((?:python3? -m pytest|pytest|npm test|go test|cargo test|make (?:test|check))(?: [\w./=:-]+)*)[ \t\r]*$",
    re.MULTILINE,
)
_NO_TESTS = "no test specified"
"""What npm writes into a new package."""


class FoundChecks(BaseModel):
    """A check command and the file that says so."""

    model_config = ConfigDict(frozen=True)

    command: str
    place: str


async def find_checks(paths: Iterable[str], read: Read) -> FoundChecks | None:
    """Look through a base's files; what is most exact to be read comes first."""
    known = frozenset(path for path in paths if path.isprintable())

    async def small(path: str) -> bytes:
        content = await read(path) or b""
        return content if len(content) <= _LARGEST else b""

    for finder in (_pytest, _package, _go, _cargo, _makefile, _ci):
        found = await finder(known, small)
        if found is not None:
            return found
    return None


async def _pytest(paths: frozenset[str], read: _Small) -> FoundChecks | None:
    for name in _PYTEST_FILES:
        if name in paths:
            return FoundChecks(command=_PYTEST, place=name)
    for name, section in _PYTEST_SECTIONS:
        if name in paths and b"\n" + section in b"\n" + await read(name):
            return FoundChecks(command=_PYTEST, place=name)
    tests = sorted(path for path in paths if fnmatchcase(path, "test_*.py") or _below_tests(path))
    return FoundChecks(command=_PYTEST, place=tests[0]) if tests else None


def _below_tests(path: str) -> bool:
    return path.startswith("tests/") and fnmatchcase(path.rpartition("/")[2], "test_*.py")


async def _package(paths: frozenset[str], read: _Small) -> FoundChecks | None:
    if "package.json" not in paths:
        return None
    try:
        script = json.loads(await read("package.json"))["scripts"]["test"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return None
    usable = isinstance(script, str) and script.strip() and _NO_TESTS not in script
    return FoundChecks(command="npm test", place="package.json") if usable else None


async def _go(paths: frozenset[str], _: _Small) -> FoundChecks | None:
    return FoundChecks(command="go test ./...", place="go.mod") if "go.mod" in paths else None


async def _cargo(paths: frozenset[str], _: _Small) -> FoundChecks | None:
    return FoundChecks(command="cargo test", place="Cargo.toml") if "Cargo.toml" in paths else None


async def _makefile(paths: frozenset[str], read: _Small) -> FoundChecks | None:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        content = await read(name) if name in paths else b""
        for target in (b"test", b"check"):
            if re.search(rb"(?m)^%b[ \t]*:(?!=)" % target, content):
                return FoundChecks(command=f"make {target.decode()}", place=name)
    return None


async def _ci(paths: frozenset[str], read: _Small) -> FoundChecks | None:
    files = sorted(path for path in paths if any(fnmatchcase(path, glob) for glob in _CI))
    for name in files[:_MOST_CI_FILES]:
        said = _IN_CI.search((await read(name)).decode(errors="replace"))
        if said:
            return FoundChecks(command=said[1], place=name)
    return None
