"""What a person should look at before a change is taken, found in the patch alone; it changes no verdict."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import PurePosixPath

from pydantic import BaseModel, ConfigDict

from codexsys_core.definitions import is_test
from codexsys_core.patch import Patch
from codexsys_core.redaction import looks_secret
from codexsys_core.unsafe_calls import unsafe_call

MOST_OF_A_KIND = 10
MOST_SCANNED = 4 * 1024 * 1024
"""Bytes of a patch whose lines are looked at."""
MANY_DELETIONS = 20
"""Files; or this many lines for each one that is added, and at least a thousand."""
_LONGEST_LINE = 2000
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_LOCKS = ("package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "go.sum")
_CI_FILES = (
    ".gitlab-ci.yml", "jenkinsfile", "azure-pipelines.yml", ".travis.yml", ".drone.yml", ".woodpecker.yml",
    "bitbucket-pipelines.yml", "appveyor.yml", ".pre-commit-config.yaml",
)  # fmt: skip
_CI_FOLDERS = (".github/workflows/", ".github/actions/", ".circleci/", ".gitlab/", ".buildkite/", ".woodpecker/")  # fmt: skip
_ADDRESS = re.compile(r"\bhttps?://(?:[^\s/@\"'<>]{1,200}@)?([a-z0-9.-]{3,200})", re.IGNORECASE)
_OWN = re.compile(r"^(?:localhost|127\.|0\.0\.0\.0|(?:.*\.)?example\.(?:com|org|net)|.*\.(?:test|invalid|example|localhost))", re.IGNORECASE)  # fmt: skip
_PIPED = re.compile(
    r"\b(?:curl|wget)\b[^|\n]{0,500}\|\s{0,9}(?:sudo\s{1,9})?(?:ba|da|z|k)?sh\b"
    r"|\b(?:ba|z)?sh\s{1,9}<\(\s{0,9}(?:curl|wget)\b|\beval\s{1,9}\"?\$\((?:curl|wget)\b"
)
_TESTED = re.compile(r"PYTEST_CURRENT_TEST|\b_pytest\b|['\"]pytest['\"]\s+(?:not\s+)?in\s+sys\.modules|\bjunit\.xml\b|\bos\._exit\(")  # fmt: skip
_PROSE = (".md", ".rst", ".txt")


class FlagKind(StrEnum):
    """What is flagged."""

    TESTS_CHANGED = "tests_changed"
    LOCK_FILE = "lock_file"
    CI_FILE = "ci_file"
    EXECUTABLE = "executable"
    LINK = "link"
    MANY_DELETIONS = "many_deletions"
    SECRET = "secret"  # noqa: S105 - a kind, not one
    ADDRESS = "address"
    PIPED_TO_SHELL = "piped_to_shell"
    KNOWS_ITS_TESTS = "knows_its_tests"
    UNSAFE_CALL = "unsafe_call"
    SYNTAX = "syntax"
    LINT = "lint"
    FORMAT = "format"


class Flag(BaseModel):
    """One thing to look at; never the text of the change, which may be secret."""

    model_config = ConfigDict(frozen=True)

    kind: FlagKind
    path: str = ""
    line: int | None = None
    says: str

    @property
    def place(self) -> str:
        """Return where it is, for a person."""
        return f"{self.path}:{self.line}" if self.line else self.path


def flags_of(patch: Patch) -> list[Flag]:
    """Return what is to be looked at, a bounded number of each kind; pure, and takes long for a large patch."""
    return few_of_each((*_of_files(patch), *_of_lines(patch)))


def few_of_each(flags: Iterable[Flag]) -> list[Flag]:
    """Return the first flags of each kind."""
    found: list[Flag] = []
    counts: Counter[FlagKind] = Counter()
    for flag in flags:
        counts[flag.kind] += 1
        if counts[flag.kind] <= MOST_OF_A_KIND:
            found.append(flag)
    return found


def _of_files(patch: Patch) -> Iterator[Flag]:
    for file in patch.files:
        path, name = file.path, PurePosixPath(file.path).name.lower()
        if is_test(path) and file.status != "A":
            word = "deleted" if file.status == "D" else "changed"
            yield Flag(kind=FlagKind.TESTS_CHANGED, path=path, says=f"a test was {word}")
        if name in _LOCKS or name.endswith(".lock"):
            yield Flag(kind=FlagKind.LOCK_FILE, path=path, says="locked dependencies were changed")
        if name in _CI_FILES or any(folder in f"{path}/" for folder in _CI_FOLDERS):
            yield Flag(kind=FlagKind.CI_FILE, path=path, says="what CI runs was changed")
        if file.mode == "120000":
            yield Flag(kind=FlagKind.LINK, path=path, says="a symbolic link was added or changed")
    deleted = sum(file.status == "D" for file in patch.files)
    if deleted >= MANY_DELETIONS or patch.deletions >= max(1000, MANY_DELETIONS * patch.insertions):
        says = f"{deleted} files and {patch.deletions} lines were deleted"
        yield Flag(kind=FlagKind.MANY_DELETIONS, says=says)


def _of_lines(patch: Patch) -> Iterator[Flag]:
    known: set[str] = set()
    hosts: list[Flag] = []
    for sign, path, number, line in changed_lines(patch.diff[:MOST_SCANNED]):
        if sign == "x":
            yield Flag(kind=FlagKind.EXECUTABLE, path=path, says="a file became executable")
        elif sign == "-":
            known.update(host.lower() for host in _ADDRESS.findall(line))
        else:
            yield from _of_line(path, number, line)
            hosts += _addresses(path, number, line)
    for flag in hosts:
        if flag.says not in known:
            known.add(flag.says)
            yield flag.model_copy(update={"says": f"a new address: {flag.says}"})


def _of_line(path: str, number: int, line: str) -> Iterator[Flag]:
    if looks_secret(line.encode(errors="replace")):
        says = "looks like a key, a token or a password"
        yield Flag(kind=FlagKind.SECRET, path=path, line=number, says=says)
    if _PIPED.search(line):
        says = "a download is piped into a shell"
        yield Flag(kind=FlagKind.PIPED_TO_SHELL, path=path, line=number, says=says)
    if _TESTED.search(line) and not is_test(path) and not path.endswith(_PROSE):
        says = "reaches for the runner of its tests"
        yield Flag(kind=FlagKind.KNOWS_ITS_TESTS, path=path, line=number, says=says)
    if not is_test(path) and not path.endswith(_PROSE) and (told := unsafe_call(path, line)):
        yield Flag(kind=FlagKind.UNSAFE_CALL, path=path, line=number, says=told)


def _addresses(path: str, number: int, line: str) -> Iterable[Flag]:
    if is_test(path) or path.endswith(_PROSE):
        return
    for host in _ADDRESS.findall(line):
        if not _OWN.match(host):
            yield Flag(kind=FlagKind.ADDRESS, path=path, line=number, says=host.lower())


def changed_lines(diff: bytes) -> Iterator[tuple[str, str, int, str]]:
    """Yield (sign, path, number, text): `+` and `-` for lines, `x` for a file that became executable."""
    path, old, new, number = "", 0, 0, 0
    for raw in diff.split(b"\n"):
        sign = raw[:1]
        if old > 0 or new > 0:
            if sign in (b"+", b"-"):
                yield sign.decode(), path, number, raw[1:_LONGEST_LINE].decode(errors="replace")
            old -= sign in (b"-", b" ")
            new -= sign in (b"+", b" ")
            number += sign in (b"+", b" ")
        elif raw.startswith(b"diff --git "):
            path = raw.rpartition(b" b/")[2].decode(errors="replace").rstrip('"')
        elif raw.startswith((b"+++ b/", b'+++ "b/')):  # a path may hold ` b/`
            path = raw.partition(b"b/")[2].decode(errors="replace").rstrip('\t"')
        elif raw in (b"new mode 100755", b"new file mode 100755"):
            yield "x", path, 0, ""
        elif hunk := _HUNK.match(raw):
            old, number, new = int(hunk[1] or 1), int(hunk[2]), int(hunk[3] or 1)
