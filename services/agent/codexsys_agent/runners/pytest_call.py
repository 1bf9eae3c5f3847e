"""Recognises one plain pytest invocation and puts a planted test on it."""

import configparser
import os
import re
import shlex
import tomllib
from pathlib import Path

from codexsys_agent.runners.call import Call, Given
from codexsys_agent.runners.words import plain

_PYTHON = re.compile(r"python(3(\.\d+)?)?")
# The report is made without pytest's cache, which these cannot do without.
_NEEDS_CACHE = {"--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--sw", "--stepwise"}
_SHORT_VALUED = "kmcnporW"
# Long options of pytest and its usual plugins whose value may be the next word.
_LONG_VALUED = frozenset(
    """
    --maxfail --rootdir --confcutdir --ignore --ignore-glob --deselect --durations --durations-min
    --tb --color --junitxml --junit-xml --junit-prefix --basetemp --log-level --log-file
    --log-cli-level --import-mode --override-ini --capture --verbosity --pythonwarnings --timeout
    --numprocesses --dist --maxprocesses --cov-report --cov-config --randomly-seed --config-file
    --show-capture --last-failed-no-failures
    """.split()  # noqa: SIM905 - a table is easier to read
)


def pytest_call(given: Given) -> Call | None:
    """Return the call when this is one plain pytest invocation."""
    words = pytest_words(given.command)
    if words is None:
        return None
    # -x would end the report at the first failure; the last word on it wins. After a lone --
    # everything is a path.
    added = [] if "--" in words else ["--maxfail=0"]
    if given.planted:
        added += plant(given.code, words, given.planted)
    command = " ".join([given.command.strip(), *(shlex.quote(word) for word in added)])
    earlier = given.env.get("PYTEST_ADDOPTS", "")
    report = shlex.quote(str(given.report))
    options = f"{earlier} -p no:cacheprovider --junitxml={report} -o junit_family=xunit2"
    return Call(command, {"PYTEST_ADDOPTS": options.strip()})


def pytest_words(command: str) -> list[str] | None:
    """The words after the runner when this is one plain pytest invocation, else None."""
    found = plain(command)
    if found is None or _NEEDS_CACHE.intersection(found.words):
        return None
    if any(each.startswith("PYTEST_ADDOPTS=") for each in found.assigned):
        return None
    words = list(found.words)
    if found.program in ("pytest", "py.test"):
        return words[1:]
    if len(words) >= 3 and _PYTHON.fullmatch(found.program):
        return words[3:] if words[1:3] == ["-m", "pytest"] else None
    return None


def positional_words(words: list[str]) -> list[str]:
    """The paths and test ids that an invocation names."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            found += rest
        elif _takes_next(word):
            next(rest, None)
        elif not word.startswith("-"):
            found.append(word)
    return found


def plant(code: Path, words: list[str], name: str) -> list[str]:
    """Write a test that must fail, and say what to append to the command so that it runs.

    It is put where it does not move the folder in which pytest looks for its settings, and
    what would have run without a path still runs.
    """
    named = positional_words(words)
    folder = _common_folder(code, named)
    function = name if name.startswith("test_") else f"test_{name}"
    place = folder / f"{function}.py"
    with place.open("x", encoding="ascii") as opened:
        opened.write(f"def {function}():\n    assert False\n")
    appended = [] if named else _default_paths(code, words)
    return [*appended, str(place.relative_to(code))]


def _takes_next(word: str) -> bool:
    if word.startswith("--"):
        return word in _LONG_VALUED
    # -k X, -qk X; but -kX and -n4 carry their value themselves.
    letters = word[1:] if word.startswith("-") else ""
    first = next((n for n, letter in enumerate(letters) if letter in _SHORT_VALUED), None)
    return first is not None and first == len(letters) - 1


def _common_folder(code: Path, named: list[str]) -> Path:
    places = [Path(os.path.normpath(code / word.partition("::")[0])) for word in named]
    folders = [place if place.is_dir() else place.parent for place in places if place.exists()]
    if not folders:
        return code
    common = Path(os.path.commonpath(folders))
    return common if common == code or code in common.parents else code


def _default_paths(code: Path, words: list[str]) -> list[str]:
    """What a call without paths collects: the settings' testpaths, else the folder."""
    if any(word.startswith(("-c", "--config-file", "--rootdir")) for word in words):
        return ["."]
    found: list[str] = []
    for pattern in _testpaths(code):
        found += sorted(str(place.relative_to(code)) for place in code.glob(pattern))
    return found or ["."]


def _testpaths(code: Path) -> list[str]:
    """From the first file that pytest would take its settings from."""
    for name in ("pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini"):
        if (code / name).is_file():
            return _from_toml(code / name) if name.endswith("toml") else _from_ini(code / name)
    for name in ("pyproject.toml", "tox.ini", "setup.cfg"):
        if (code / name).is_file():
            read = _from_toml if name.endswith("toml") else _from_ini
            if paths := read(code / name):
                return paths
    return []


def _from_toml(file: Path) -> list[str]:
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    table = content if file.name.endswith("pytest.toml") else content.get("tool", {})
    settings = table.get("pytest", {})
    paths = settings.get("ini_options", settings).get("testpaths", [])
    return paths.split() if isinstance(paths, str) else [str(path) for path in paths]


def _from_ini(file: Path) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read(file, encoding="utf-8")
    except (configparser.Error, ValueError):
        return []
    section = "tool:pytest" if file.name == "setup.cfg" else "pytest"
    return parser.get(section, "testpaths", fallback="").split()
