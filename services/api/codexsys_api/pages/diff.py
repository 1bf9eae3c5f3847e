"""Reads a Git patch into files and rows for the page; a hostile patch gives odd rows, never an error."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

MAX_ROWS = 200_000
MAX_FILES = 2000
FOLD_ROWS = 600
CHUNK = 200
MAX_BYTES = 16 * 1024 * 1024
MAX_LINE = 4000

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@ ?(.*)")
_ESCAPED = re.compile(r"\\([0-7]{3}|.)")
_LETTERS = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}


class Row(NamedTuple):
    """One line of a diff; a tuple, since there are many."""

    kind: str  # hunk, add, del, same, note
    old: int | None
    new: int | None
    text: str


@dataclass
class File:
    """One changed file."""

    path: str = ""
    old_path: str = ""
    kind: str = "changed"  # added, deleted, renamed, copied, mode, changed
    binary: bool = False
    modes: str = ""
    insertions: int = 0
    deletions: int = 0
    rows: list[Row] = field(default_factory=list)
    cut: int = 0

    @property
    def folded(self) -> bool:
        """Say whether the file is closed at first."""
        return len(self.rows) > FOLD_ROWS

    @cached_property
    def starts(self) -> Sequence[int]:
        """Say where the chunks begin, which are laid out and loaded one by one; a change is not cut."""
        found = [0]
        for at, row in enumerate(self.rows):
            full = at - found[-1]
            if full >= 2 * CHUNK or (full >= CHUNK and row.kind not in {"add", "del"}):
                found.append(at)
        return found

    def chunk(self, number: int) -> list[Row]:
        """Give the rows of one chunk; none where there is no such chunk."""
        if not 0 <= number < len(self.starts):
            return []
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.rows)
        return self.rows[self.starts[number] : end]

    @property
    def letter(self) -> str:
        """Give the one letter of the file tree."""
        return (
            "B"
            if self.binary
            else {"mode": "M", "changed": "M"}.get(self.kind, self.kind[0].upper())
        )

    @property
    def word(self) -> str:
        """Say what happened to the file as a whole."""
        return {"mode": "mode changed", "changed": ""}.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Diff:
    """A whole patch."""

    files: tuple[File, ...]
    truncated: bool = False
    hidden: int = 0
    """So many files more than a page can show."""

    @property
    def insertions(self) -> int:
        """Count the added lines."""
        return sum(file.insertions for file in self.files)

    @property
    def deletions(self) -> int:
        """Count the removed lines."""
        return sum(file.deletions for file in self.files)

    @property
    def tree(self) -> list[tuple[str, list[tuple[int, str, File]]]]:
        """Group the files by folder: `(folder, [(number of the file, name, file)])`."""
        numbered = sorted(
            ((*_split(file.path), number, file) for number, file in enumerate(self.files, 1)),
            key=lambda entry: entry[:3],
        )
        return [
            (folder, [(number, name, file) for _, name, number, file in entries])
            for folder, entries in groupby(numbered, key=lambda entry: entry[0])
        ]


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _unquote(path: str) -> str:
    """Undo Git's quoting of a path, byte by byte."""
    if not (len(path) > 1 and path[0] == path[-1] == '"'):
        return path
    out = bytearray()
    at = 0
    inner = path[1:-1]
    for found in _ESCAPED.finditer(inner):
        code = found[1]
        out += inner[at : found.start()].encode()
        out += bytes([int(code, 8) & 255]) if len(code) == 3 else _letter(code)
        at = found.end()
    return (out + inner[at:].encode()).decode("utf-8", "replace")


def _letter(code: str) -> bytes:
    return bytes([_LETTERS[code]]) if code in _LETTERS else code.encode()


def _path(text: str) -> str:
    name = _unquote(text.partition("\t")[0])
    return name[2:] if name[:2] in {"a/", "b/"} else name


def _header_path(line: str) -> str:
    """Take the path of `diff --git a/x b/x`: without a rename both halves are the same."""
    rest = line.removeprefix("diff --git ")
    if rest.endswith('"'):
        return _path(rest[rest.rfind(' "') + 1 :])
    half = len(rest) // 2
    if rest[half : half + 1] == " " and rest[2:half] == rest[half + 3 :]:
        return _path(rest[half + 1 :])
    return _path(rest.rpartition(" b/")[2])


def _header(file: File, line: str) -> None:
    """Take one line between `diff --git` and the first hunk."""
    word, _, rest = line.partition(" ")
    if line.startswith(("new file mode ", "deleted file mode ")):
        file.kind = "added" if word == "new" else word
        file.modes = line.rpartition(" ")[2]
    elif line.startswith(("old mode ", "new mode ")):
        file.kind = "mode" if file.kind == "changed" else file.kind
        mode = rest[5:]
        file.modes = f"{file.modes} → {mode}" if word == "new" else mode
    elif line.startswith(("rename from ", "copy from ")):
        file.kind = "renamed" if word == "rename" else "copied"
        file.old_path = _unquote(rest[5:])
    elif line.startswith(("rename to ", "copy to ")):
        file.path = _unquote(rest[3:])
    elif line.startswith(("GIT binary patch", "Binary files ")):
        file.binary = True
    elif line.startswith("+++ ") and rest != "/dev/null":
        file.path = _path(rest)


class _Reader:
    """Walks over the lines of one patch; a hunk is as long as its own header says."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._left = MAX_ROWS
        self.files: list[File] = []

    def run(self) -> None:
        """Read everything."""
        for line in self._lines:
            if line.startswith("diff --git "):
                self.files.append(File(path=_header_path(line)))
            elif self.files and (hunk := _HUNK.match(line)):
                self._hunk(self.files[-1], hunk)
            elif self.files and line.startswith("\\"):
                self._add(self.files[-1], Row("note", None, None, line[2:]))
            elif self.files:
                _header(self.files[-1], line)

    def _add(self, file: File, row: Row) -> None:
        if self._left > 0:
            file.rows.append(row)
            self._left -= 1
        else:
            file.cut += 1

    def _hunk(self, file: File, hunk: re.Match[str]) -> None:
        file.kind = "changed" if file.kind == "mode" else file.kind
        self._add(file, Row("hunk", None, None, hunk[0]))
        rows = list(_hunk_rows(self._lines, hunk))
        file.insertions += sum(row.kind == "add" for row in rows)
        file.deletions += sum(row.kind == "del" for row in rows)
        shown = rows[: self._left]
        self._left -= len(shown)
        file.rows += shown
        file.cut += len(rows) - len(shown)


def _hunk_rows(lines: Iterator[str], hunk: re.Match[str]) -> Iterator[Row]:
    """Yield the rows of a hunk, as many as its header says."""
    old, new = int(hunk[1]), int(hunk[3])
    old_end, new_end = old + int(hunk[2] or 1), new + int(hunk[4] or 1)
    while old < old_end or new < new_end:
        line = next(lines, None)
        if line is None:
            return
        sign, text = line[:1], line[1:]
        if sign == "+":
            yield Row("add", None, new, text)
            new += 1
        elif sign == "-":
            yield Row("del", old, None, text)
            old += 1
        elif sign == "\\":
            yield Row("note", None, None, text.strip())
        else:
            yield Row("same", old, new, text)
            old, new = old + 1, new + 1


def _shorten(line: str) -> str:
    if len(line) <= MAX_LINE:
        return line
    left = len(line) - MAX_LINE
    return f"{line[:MAX_LINE]} … ({left:,} characters more)"


def read(patch: bytes) -> Diff:
    """Read a patch as `git diff --binary` writes it."""
    shown = patch[:MAX_BYTES].decode("utf-8", "replace").removesuffix("\n")
    reader = _Reader(map(_shorten, shown.split("\n")))
    reader.run()
    files = _moved(reader.files)
    return Diff(
        tuple(files[:MAX_FILES]),
        truncated=len(patch) > MAX_BYTES,
        hidden=max(0, len(files) - MAX_FILES),
    )


def _moved(files: list[File]) -> list[File]:
    """Return them with one for each that is gone and has come elsewhere with the same lines.

    The platform's patches know no renames: they are applied as they stand, and hide nothing. Here
    the lines themselves are compared, and never a name or an id that the patch tells.
    """
    gone: dict[tuple[str, ...], list[File]] = {}
    for file in files:
        if file.kind == "deleted" and (lines := _lines(file)):
            gone.setdefault(lines, []).append(file)
    taken: set[int] = set()
    for file in files:
        if file.kind == "added" and (before := gone.get(_lines(file))):
            old = before.pop(0)
            taken.add(id(old))
            modes = file.modes if file.modes == old.modes else f"{old.modes} → {file.modes}"
            file.kind, file.old_path, file.modes = "renamed", old.path, modes
            file.rows, file.insertions = [], 0
    return [file for file in files if id(file) not in taken]


def _lines(file: File) -> tuple[str, ...]:
    """Return the text of a file that came or went whole, as far as a patch tells it; else nothing."""
    if file.binary or file.cut:
        return ()
    return tuple(row.text for row in file.rows if row.kind != "hunk")
