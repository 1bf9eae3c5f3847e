"""Recognises one plain `cargo test`, and reads what its test programs say: they have no stable report of their own."""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from codexsys_agent.runners.call import Call, Case, Given, Result
from codexsys_agent.runners.words import plain

_QUIET = {"-q", "--quiet", "--nocapture", "--no-capture", "--show-output"}
_OTHER = (
    "--no-run",
    "--list",
    "--format",
    "--logfile",
    "--config",
    "--message-format",
    "--bench",
    "-Z",
    "+",
)
_COLOURS = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
_RUNNING = re.compile(r"\s*Running (?:unittests ?)?(\S*) ?\((?:.*/)?(.+)-[0-9a-f]{16}(?:\.exe)?\)$")
_DOC_TESTS = re.compile(r"\s*Doc-tests (\S+)$")
_TEST = re.compile(r"test (.+?)(?: - should panic)? \.\.\. (ok|FAILED|ignored)(?:,.*| <[\d.]+s>)?$")
_LINE = re.compile(r" \(line \d+\)")
_SUMMARY = re.compile(r"test result: (?:ok|FAILED)\. (\d+) passed; (\d+) failed; (\d+) ignored;")
_RESULTS: dict[str, Result] = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}
_ORDER: tuple[Result, ...] = ("passed", "failed", "skipped")
_LONGEST = 4000


def cargo_call(given: Given) -> Call | None:
    """Return the call when this is one plain `cargo test`."""
    found = plain(given.command)
    if found is None or found.program != "cargo" or found.words[1:2] not in (("test",), ("t",)):
        return None
    if any(word.startswith(_OTHER) for word in found.words):
        return None
    if given.planted:
        _plant(given.code, given.planted)
    words = [word for word in found.words[2:] if word not in _QUIET]
    command = found.with_words(["cargo", "test", "--no-fail-fast", *words])
    env = {"CARGO_TERM_COLOR": "never", "CARGO_TERM_QUIET": "false"}
    return Call(command, env, CargoListener())


def _plant(code: Path, name: str) -> None:
    """Write a test program of its own where cargo looks for such."""
    package = _package(code)
    if package is not None:
        folder = package / "tests"
        folder.mkdir(exist_ok=True)
        test = f'#[test]\nfn {name}() {{\n    panic!("planted");\n}}\n'
        (folder / f"{name}.rs").write_text(test, encoding="ascii")


def _package(code: Path) -> Path | None:
    """Return the folder of the package at the root, else of the workspace's first one."""
    manifest = _manifest(code)
    if "package" in manifest:
        return code
    members = manifest.get("workspace", {}).get("members", [])
    for pattern in members if isinstance(members, list) else []:
        if not isinstance(pattern, str) or pattern.startswith("/") or ".." in pattern:
            continue
        for folder in sorted(code.glob(pattern)):
            if "package" in _manifest(folder):
                return folder
    return None


def package_name(code: Path, path: PurePosixPath) -> str:
    """Return the name of the package that a file belongs to, empty where it is none's."""
    for folder in path.parents:
        name = _manifest(code / folder).get("package", {}).get("name")
        if isinstance(name, str):
            return name
    return ""


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((folder / "Cargo.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


class CargoListener:
    """Each test program is a suite. One that ended before it said how many tests it had counts for nothing."""

    def __init__(self) -> None:
        self._suite = ""
        self._open: list[Case] = []
        self._cases: list[Case] = []
        self._times: Counter[str] = Counter()

    def heard(self, line: bytes) -> bytes:
        """Take a line; all is shown."""
        text = _COLOURS.sub(b"", line[:_LONGEST]).decode(errors="replace").rstrip()
        if begun := _RUNNING.match(text):
            self._begin(f"{begun[2]} ({begun[1]})" if begun[1] else begun[2])
        elif begun := _DOC_TESTS.match(text):
            self._begin(f"{begun[1]} (doc)")
        elif told := _TEST.match(text):
            self._open.append(Case(self._suite, self._name(told[1]), _RESULTS[told[2]]))
        elif ended := _SUMMARY.match(text):
            self._end(tuple(int(count) for count in ended.groups()))
        return line

    def cases(self) -> Iterable[Case]:
        """Return the tests of programs that came to their end."""
        return self._cases

    def _begin(self, suite: str) -> None:
        self._suite, self._open = suite, []
        self._times.clear()

    def _name(self, told: str) -> str:
        """Tests in documentation are named by their line, which moves: the first, the second of a place."""
        name = _LINE.sub("", told)
        if name == told:
            return name
        self._times[name] += 1
        return f"{name} #{self._times[name]}"

    def _end(self, told: tuple[int, ...]) -> None:
        counted = Counter(case.result for case in self._open)
        if told == tuple(counted[result] for result in _ORDER):
            self._cases += self._open
        self._open = []
