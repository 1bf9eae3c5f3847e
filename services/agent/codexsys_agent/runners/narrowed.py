"""The part of a check command's tests that touch a change, found by names: soon run, and never all that is to be run."""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from codexsys_agent.broken.files import texts
from codexsys_agent.runners.cargo_call import package_name
from codexsys_agent.runners.javascript_tests import SCRIPTS
from codexsys_agent.runners.jest_call import jest_paths, jest_words
from codexsys_agent.runners.node_call import called_by_package, node_words
from codexsys_agent.runners.pytest_call import positional_words, pytest_words
from codexsys_agent.runners.vitest_call import vitest_paths, vitest_words
from codexsys_agent.runners.words import Plain, plain

_MOST = 200
"""Files on one command line; with more of them all tests may as well be run."""
_PYTHON_TESTS = ("test_*.py", "*_test.py")
_NODE_TESTS = ("*.test.*js", "*-test.*js", "*_test.*js", "test-*.*js", "test.*js")
_JEST_TESTS = ("*.test.*", "*.spec.*")
_FOLDERS = ("test", "tests", "__tests__")
_NAMELESS = ("__init__", "index", "mod", "main", "lib")
_IMPORTS = re.compile(r"^.*\b(?:import|from|require)\b.*$", re.MULTILINE)


def narrowed(command: str, code: Path, changed: Iterable[str]) -> str | None:
    """Return the command for these tests alone; None where none is found, or it is no runner's that is known."""
    found = plain(command)
    if found is None or not found.words:
        return None
    paths = [PurePosixPath(path) for path in changed]
    for known in (_pytest, _go, _cargo, _node, _jest, _vitest):
        if made := known(command, found, code, paths):
            return made
    return None


def _pytest(command: str, found: Plain, code: Path, changed: list[PurePosixPath]) -> str | None:
    words = pytest_words(command)
    if words is None:
        return None
    named = positional_words(words)
    tests = _within(_touching(code, changed, (".py",), _PYTHON_TESTS), named)
    options = [word for word in found.words if word not in named]
    return found.with_words([*options, *tests]) if tests else None


def _node(command: str, found: Plain, code: Path, changed: list[PurePosixPath]) -> str | None:  # noqa: ARG001 - one of those above
    words = node_words(found, code)
    if words is None:
        return None
    plain_words, options, named = words
    endings = (".js", ".mjs", ".cjs")
    tests = _touching(code, changed, endings, _NODE_TESTS)
    tests = _within(tests, [word for word in named if not set(word) & set("*?[")])
    return plain_words.with_words([plain_words.words[0], *options, *tests]) if tests else None


def _jest(command: str, found: Plain, code: Path, changed: list[PurePosixPath]) -> str | None:  # noqa: ARG001
    called = called_by_package(found, code)
    told = jest_words(called, code) if called else None
    if called is None or told is None:
        return None
    program, options = told
    named = jest_paths(options)
    tests = _within(_touching(code, changed, SCRIPTS, _JEST_TESTS), named)
    rest = [word for word in options if word not in named]
    return called.with_words([*program, *rest, *tests]) if tests else None


def _vitest(command: str, found: Plain, code: Path, changed: list[PurePosixPath]) -> str | None:  # noqa: ARG001
    called = called_by_package(found, code)
    told = vitest_words(called, code) if called else None
    if called is None or told is None:
        return None
    program, options = told
    named = vitest_paths(options)
    tests = _within(_touching(code, changed, SCRIPTS, _JEST_TESTS), named)
    rest = [word for word in options if word not in named]
    return called.with_words([*program, "run", *rest, *tests]) if tests else None


def _go(command: str, found: Plain, code: Path, changed: list[PurePosixPath]) -> str | None:  # noqa: ARG001
    if found.words[:2] != ("go", "test"):
        return None
    folders = {path.parent.as_posix() for path in changed if path.suffix == ".go"}
    inside = {folder for folder in folders if folder != "."}
    users = re.compile("|".join(rf'/{re.escape(each)}"' for each in sorted(inside)) or "(?!)")
    for file, text in texts(code, (".go",)):
        if users.search(text):
            folders.add(file.parent.relative_to(code).as_posix())
    there = sorted(folder for folder in folders if any((code / folder).glob("*.go")))
    options = [word for word in found.words[2:] if not word.startswith((".", "example.", "/"))]
    if not there or len(there) > _MOST:
        return None
    return found.with_words(["go", "test", *options, *(f"./{folder}" for folder in there)])


def _cargo(command: str, found: Plain, code: Path, changed: list[PurePosixPath]) -> str | None:  # noqa: ARG001
    if found.words[:2] not in (("cargo", "test"), ("cargo", "t")):
        return None
    if all(len(path.parts) == 2 and path.parts[0] == "tests" for path in changed):
        chosen = [
            word for path in changed if path.suffix == ".rs" for word in ("--test", path.stem)
        ]
    else:
        names = sorted(
            {package_name(code, path) for path in changed if path.suffix in (".rs", ".toml")}
        )
        chosen = [word for name in names if name for word in ("-p", name)]
    if not chosen or {"-p", "--package", "--test", "--lib"} & set(found.words):
        return None
    return found.with_words(["cargo", "test", *chosen, *found.words[2:]])


def _touching(
    code: Path, changed: list[PurePosixPath], endings: tuple[str, ...], globs: tuple[str, ...]
) -> list[str]:
    """Return files of tests that are changed, are named for what is, or import it by its name."""
    stems = {
        path.parent.name if path.stem in _NAMELESS else path.stem
        for path in changed
        if path.suffix in endings
    } - {""}
    if not stems:
        return []
    name = re.compile(rf"\b(?:{'|'.join(map(re.escape, sorted(stems)))})\b")
    paths = {path.as_posix() for path in changed}
    found = []
    for file, text in texts(code, endings):
        place = file.relative_to(code).as_posix()
        if not _is_test(place, globs):
            continue
        if place in paths or any(name.search(line) for line in _IMPORTS.findall(text)):
            found.append(place)
    return found if len(found) <= _MOST else []


def _is_test(path: str, globs: tuple[str, ...]) -> bool:
    *folders, name = PurePosixPath(path).parts
    by_folder = not globs[0].endswith(".py") and any(folder in _FOLDERS for folder in folders)
    return by_folder or any(fnmatchcase(name, glob) for glob in globs)


def _within(tests: list[str], named: Iterable[str]) -> list[str]:
    """Leave those below what the command names, if it names anything."""
    places = [PurePosixPath(word.partition("::")[0]) for word in named]
    if not places:
        return tests
    return [test for test in tests if any(PurePosixPath(test).is_relative_to(p) for p in places)]
