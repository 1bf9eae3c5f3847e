"""Recognises one plain `go test`, and reads what its `-json` tells."""

import json
from collections.abc import Iterable
from typing import Any, get_args

from codexsys_agent.runners.call import Call, Case, Given, Result
from codexsys_agent.runners.words import plain

_PACKAGE = "(package)"
_RESULTS: dict[str, Result] = {"pass": "passed", "fail": "failed", "skip": "skipped"}
# Flags that are no run of tests, or that put something between them and us.
_OTHER = {"c", "json", "exec", "bench", "fuzz", "list", "toolexec", "n", "o", "args", "test.v"}
_BOOLEAN = frozenset(
    """
    a asan benchmem buildvcs cover failfast fullpath i linkshared modcacherw msan race short trimpath
    v work x
    """.split()  # noqa: SIM905 - a table is easier to read
)
_NOISE = ("=== RUN", "=== PAUSE", "=== CONT", "=== NAME", "--- PASS", "PASS\n")
assert set(_RESULTS.values()) == set(get_args(Result))  # noqa: S101 - of two tables


def go_call(given: Given) -> Call | None:
    """Return the call when this is one plain `go test`."""
    found = plain(given.command)
    if found is None or found.program != "go" or found.words[1:2] != ("test",):
        return None
    if any(each.startswith("GOFLAGS=") for each in found.assigned):
        return None
    packages = _packages(found.words[2:])
    if packages is None:
        return None
    first, after = packages
    words = [*found.words[:2], "-json", *found.words[2 : 2 + after]]
    if given.planted:
        words += [*(() if first < after else (".",)), _plant(given, given.planted)]
    return Call(found.with_words([*words, *found.words[2 + after :]]), listener=GoListener())


def _packages(words: tuple[str, ...]) -> tuple[int, int] | None:
    """Return from where to where packages are named; None for flags that we do not run with."""
    if not _known(words):
        return None
    n = first = 0
    while n < len(words):
        if not words[n].startswith("-"):
            first = n
            while n < len(words) and not words[n].startswith("-"):
                n += 1
            return first, n
        n += _length(words[n])
    return len(words), len(words)


def _known(words: tuple[str, ...]) -> bool:
    return not any(_flag(word) in _OTHER for word in words if word.startswith("-"))


def _flag(word: str) -> str:
    return word.lstrip("-").partition("=")[0].removeprefix("test.")


def _length(word: str) -> int:
    return 1 if "=" in word or _flag(word) in _BOOLEAN else 2


def _plant(given: Given, name: str) -> str:
    folder = given.code / name
    folder.mkdir()
    test = f'package planted\n\nimport "testing"\n\nfunc Test_{name}(t *testing.T) {{\n\tt.Fatal("planted")\n}}\n'
    (folder / f"{name}_test.go").write_text(test, encoding="ascii")
    return f"./{name}"


class GoListener:
    """Every line of go's is one event; what is none is shown as it is."""

    def __init__(self) -> None:
        self._cases: list[Case] = []
        self._failed: set[str] = set()
        """Packages."""

    def heard(self, line: bytes) -> bytes:
        """Take an event."""
        try:
            event = json.loads(line)
            action, package = event["Action"], str(event.get("Package", ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return line
        if action in ("output", "build-output"):
            return _shown(event)
        test = event.get("Test")
        if action in _RESULTS and test:
            self._cases.append(Case(package, str(test), _RESULTS[action]))
        elif action == "fail":
            self._failed.add(package)
        return b""

    def cases(self) -> Iterable[Case]:
        """Return tests, and packages that failed for another reason than one of them."""
        yield from self._cases
        told = {case.suite for case in self._cases if case.result == "failed"}
        for package in sorted(self._failed - told):
            yield Case(package, _PACKAGE, "failed")


def _shown(event: dict[str, Any]) -> bytes:
    text = str(event.get("Output", ""))
    return b"" if text.lstrip(" ").startswith(_NOISE) else text.encode(errors="replace")
