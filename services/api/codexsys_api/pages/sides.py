"""Rows of a diff as they are shown: coloured, what differs within a line marked, in one column or two."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from markupsafe import Markup, escape

from codexsys_api.pages import syntax, text
from codexsys_api.pages.diff import Row


@dataclass(frozen=True, slots=True)
class Line:
    """One line of code on one side; `sign` is plus, minus or nothing."""

    kind: str
    old: int | None
    new: int | None
    code: Markup

    @property
    def sign(self) -> str:
        """Say what happened to the line."""
        return {"add": "+", "del": "\N{MINUS SIGN}"}.get(self.kind, "")


Pair = tuple[Line | None, Line | None]
_NOTHING = (0, 0)


def unified(rows: Sequence[Row], path: str) -> list[Line]:
    """Give the rows in one column."""
    return [line for run in _runs(rows, path) for line in run]


def split(rows: Sequence[Row], path: str) -> list[Pair]:
    """Give the rows side by side: what was removed beside what was added instead."""
    found: list[Pair] = []
    for run in _runs(rows, path):
        removed = [line for line in run if line.kind == "del"]
        added = [line for line in run if line.kind == "add"]
        if removed or added:
            found += zip_longest(removed, added)
        else:
            found += [(line, line) for line in run]
    return found


def _runs(rows: Iterable[Row], path: str) -> Iterator[list[Line]]:
    """Cut rows into runs of change and of the rest, each line coloured in the state of its own side."""
    painter = _Painter(path)
    for changed, run in groupby(rows, key=lambda row: row.kind in {"add", "del"}):
        listed = list(run)
        marks = _marks(listed) if changed else {}
        yield [painter.line(row, marks.get(at, _NOTHING)) for at, row in enumerate(listed)]


class _Painter:
    """Colours lines and knows on each side which string or comment they are in."""

    def __init__(self, path: str) -> None:
        self._language = syntax.language_of(path)
        self._old = self._new = ""

    def line(self, row: Row, mark: tuple[int, int]) -> Line:
        return Line(row.kind, row.old, row.new, self._code(row, mark))

    def _code(self, row: Row, mark: tuple[int, int]) -> Markup:
        if row.kind in {"hunk", "note"}:
            self._old = self._new = ""
            return escape(text.visible(row.text))
        before = self._old if row.kind == "del" else self._new
        tokens, after = syntax.paint(row.text, self._language, before)
        if row.kind == "del":
            self._old = after
        else:
            self._new = after
            self._old = after if row.kind == "same" else self._old
        return _markup(tokens, mark, "del" if row.kind == "del" else "ins")


def _markup(tokens: Iterable[syntax.Token], mark: tuple[int, int], tag: str) -> Markup:
    """Write the pieces of a line; what is between the two ends of `mark` is marked as well."""
    out: list[str] = []
    at = 0
    for name, piece in tokens:
        for marked, part in _cut(piece, mark[0] - at, mark[1] - at):
            code = escape(text.visible(part))
            code = Markup('<span class="{}">{}</span>').format(name, code) if name else code
            out.append(f"<{tag}>{code}</{tag}>" if marked else code)
        at += len(piece)
    return Markup("").join(map(Markup, out))


def _cut(piece: str, start: int, end: int) -> Iterator[tuple[bool, str]]:
    start, end = max(0, min(start, len(piece))), max(0, min(end, len(piece)))
    for marked, part in ((False, piece[:start]), (True, piece[start:end]), (False, piece[end:])):
        if part:
            yield marked, part


def _marks(run: Sequence[Row]) -> dict[int, tuple[int, int]]:
    """Mark in removed lines, and in the added ones that came instead, the part that differs."""
    removed = [at for at, row in enumerate(run) if row.kind == "del"]
    added = [at for at, row in enumerate(run) if row.kind == "add"]
    alike = 0.0 if len(removed) == len(added) else 0.5
    found: dict[int, tuple[int, int]] = {}
    for before, after in zip(removed, added, strict=False):
        found[before], found[after] = _differing(run[before].text, run[after].text, alike)
    return found


def _differing(a: str, b: str, alike: float) -> tuple[tuple[int, int], tuple[int, int]]:
    """Find where two lines differ; nowhere, where they have too little in common."""
    most = min(len(a), len(b))
    head = next((at for at in range(most) if a[at] != b[at]), most)
    tail = next((at for at in range(most - head) if a[-1 - at] != b[-1 - at]), most - head)
    common = a[:head] + a[len(a) - tail :]
    if not common.strip() or len(common) < alike * max(len(a), len(b)):
        return _NOTHING, _NOTHING
    return (head, len(a) - tail), (head, len(b) - tail)
