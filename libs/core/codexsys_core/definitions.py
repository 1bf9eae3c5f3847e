"""Which paths are tests, and which decide how tests run (design §5.7)."""

import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_TESTS = ("test_*.py", "*_test.py", "tests/*", "test/*", "*/tests/*", "*/test/*")
_DEFINITIONS = (
    "conftest.py", "pytest.ini", ".pytest.ini", "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "noxfile.py",
    ".coveragerc", "sitecustomize.py", "usercustomize.py", "*.pth", "*.egg-info", "*.dist-info",
    "makefile", "gnumakefile", "*.mk", "justfile", "taskfile.yml", "package.json", "go.mod", "go.sum", "cargo.toml",
    "*.lock", "package-lock.json", "requirements*.txt", "setup.sh", ".gitlab-ci.yml", ".gitattributes", ".gitignore",
)  # fmt: skip
_FOLDERS = (".github", ".gitlab", ".circleci", ".venv", "venv", "site-packages", "node_modules")
# A module of one of these names at an import root would run instead of the installed one.
_SHADOWED = frozenset(sys.stdlib_module_names) | {
    "pytest",
    "_pytest",
    "pluggy",
    "py",
    "iniconfig",
    "packaging",
}


def is_test(path: str) -> bool:
    """Say whether a path holds tests."""
    name = PurePosixPath(path).name
    return any(fnmatchcase(path, glob) or fnmatchcase(name, glob) for glob in _TESTS)


def is_definition(path: str) -> bool:
    """Say whether a path decides how checks run."""
    parts = PurePosixPath(path.lower()).parts
    if any(folder in parts for folder in _FOLDERS):
        return True
    if any(fnmatchcase(part, glob) for glob in _DEFINITIONS for part in parts):
        return True
    # `pkg.py`, `pkg/…`, and the same below one folder such as `src`.
    return any(
        part.removesuffix(".py") in _SHADOWED
        for part in parts[:2]
        if part.endswith(".py") or len(parts) > 1
    )


def named_in(command: str, path: str) -> bool:
    """Say whether the check command names the path."""
    return path in command.replace("'", " ").replace('"', " ").replace(";", " ").split()


def guarded(paths: Iterable[str], *, command: str, may_change: Iterable[str]) -> frozenset[str]:
    """Return the paths of a change whose base version is tried too."""
    opened = tuple(may_change)
    return frozenset(
        path
        for path in paths
        if (is_test(path) or is_definition(path) or named_in(command, path))
        and not any(fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}/*") for glob in opened)
    )
