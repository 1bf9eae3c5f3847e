"""Which paths are tests, and which decide how tests run (design §5.7)."""

import sys
from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from posixpath import normpath

_TESTS = (
    "test_*.py", "*_test.py", "*_test.go", "*.test.*", "*.spec.*", "*_spec.rb", "*Test.java", "*.snap",
)  # fmt: skip
_TEST_FOLDERS = ("tests", "test", "__tests__", "__snapshots__", "__mocks__", "testdata")
_DEFINITIONS = (
    "conftest.py", "pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml", "pyproject.toml", "setup.cfg",
    "setup.py", "tox.ini", "noxfile.py", ".coveragerc", "sitecustomize.py", "usercustomize.py", "*.pth",
    "*.egg-info", "*.dist-info", "makefile", "gnumakefile", "*.mk", "justfile", "taskfile.yml", "package.json",
    "jest.*", "jest-*.?js", "jest-*.js", "jest-*.ts", "jest-*.json", "setup-jest.*", "setupjest.*", "setuptests.*", "vitest.*", "vitest-*.?js", "vitest-*.js", "vitest-*.ts", "setup-vitest.*", "setupvitest.*", "vite.config.*", "babel.config.*", ".babelrc*", ".swcrc",
    "tsconfig*.json", "node.config.json", ".mocharc*", ".npmrc", ".yarnrc*", ".pnp.*", "pnpm-workspace.yaml", "rust-toolchain*", "go.mod", "go.sum", "go.work", "cargo.toml", "build.rs",
    "pom.xml", "build.gradle*", "*.lock", "package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml",
    "requirements*.txt", "setup.sh", ".gitlab-ci.yml", "jenkinsfile", ".gitattributes", ".gitignore", "*.pyc",
)  # fmt: skip
_FOLDERS = (
    ".github", ".gitlab", ".circleci", ".cargo", ".venv", "venv", "site-packages", "node_modules", "__pycache__",
    "vendor",
)  # fmt: skip
_SCRIPTS = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx")
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
    """Say whether a path holds tests, or what they are compared with."""
    *folders, name = PurePosixPath(path).parts
    return any(folder in _TEST_FOLDERS for folder in folders) or any(
        fnmatchcase(name, glob) for glob in _TESTS
    )


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
    """Say whether the check command names the path, as a file or as a module, from whatever folder."""
    words = "".join(letter if letter not in "'\"`;&|()<>=" else " " for letter in command).split()
    module = path.removesuffix(".py").removesuffix("/__main__").replace("/", ".")
    for word in words:
        place = normpath(word)
        if word == module or path == place or path.endswith(f"/{place}"):
            return True
    return False


def holds(path: str, test: str) -> bool:
    """Say whether a Python test, by its name in a JUnit report, lives in this file."""
    module = path.removesuffix(".py").replace("/", ".")
    classname, _, name = test.partition("::")
    # A doctest's own name is dotted; its file is product.
    is_function = "." not in name.partition("[")[0]
    return is_function and path.endswith(".py") and f"{classname}.".startswith(f"{module}.")


def guarded(
    paths: Iterable[str],
    *,
    command: str,
    may_change: Collection[str],
    tests: Iterable[str] = (),
) -> frozenset[str]:
    """Return the paths of a change whose base version is tried too.

    `tests` are the names that the base's report gave: whatever a project calls its files, these are tests.
    """
    changed = list(paths)
    homes = {part for test in tests for part in _homes(test)}
    found = {
        path
        for path in changed
        if (is_test(path) or is_definition(path) or named_in(command, path) or path in homes)
        and not opened(path, may_change)
    }
    # A link that took a folder's place goes, too.
    return frozenset(found.union(p for p in changed if any(f.startswith(f"{p}/") for f in found)))


def opened(path: str, may_change: Collection[str]) -> bool:
    """Say whether the submitter lets a change touch this path."""
    return any(fnmatchcase(path, glob) or fnmatchcase(path, f"{glob}/*") for glob in may_change)


def _homes(test: str) -> Iterable[str]:
    """Give the files in which a test can live, by its name in a report: some name it, Python's the module."""
    classname, _, name = test.partition("::")
    if classname.endswith(_SCRIPTS):
        yield classname
    parts = classname.split(".")
    if "." not in name.partition("[")[0]:
        yield from ("/".join(parts[:end]) + ".py" for end in range(1, len(parts) + 1))
