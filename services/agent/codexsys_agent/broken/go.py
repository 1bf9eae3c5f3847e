"""Makes tests of Go fail, by the names that `go test` reports."""

import re
from pathlib import Path

from codexsys_agent.broken.files import texts

_MODULE = re.compile(r"^module\s+\"?([^\s\"]+)", re.MULTILINE)
_TEST = re.compile(r"^func (Test\w*)\((\w+) \*testing\.T\) \{", re.MULTILINE)
# The body runs: what lies for a test may do so only when the test calls it.
_FAILS = ' defer {}.Error("made to fail by the platform");'


def break_go(code: Path, wanted: frozenset[str]) -> set[str]:
    """Change files of tests; names are `package::TestName`."""
    broken: set[str] = set()
    modules: dict[Path, str | None] = {}
    for file, read in texts(code, ("_test.go",)):
        text = read
        package = _package(code, file.parent, modules)
        found = [each for each in _TEST.finditer(text) if f"{package}::{each[1]}" in wanted]
        found = [each for each in found if each[2] != "_"]
        for each in reversed(found):
            text = text[: each.end()] + _FAILS.format(each[2]) + text[each.end() :]
            broken.add(f"{package}::{each[1]}")
        if found:
            file.write_bytes(text.encode())
    return broken


def _package(code: Path, folder: Path, modules: dict[Path, str | None]) -> str:
    """Return the path by which a folder is imported."""
    root = folder
    while _module(root, modules) is None and root != code:
        root = root.parent
    inside = folder.relative_to(root).as_posix()
    module = _module(root, modules) or ""
    return module if inside == "." else f"{module}/{inside}"


def _module(folder: Path, modules: dict[Path, str | None]) -> str | None:
    if folder not in modules:
        try:
            told = _MODULE.search((folder / "go.mod").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = None
        modules[folder] = told[1] if told else None
    return modules[folder]
