"""A diff as one page shows it: the layout, and which parts are there at once or come when looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from codexsys_api.pages.diff import Diff, File
from codexsys_api.pages.sides import Line, Pair, split, unified

AT_ONCE = 1500
"""So many rows are in the page itself; the others are links, which the page's script follows by itself."""
VIEWS = ("unified", "split")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of a file's rows: the lines themselves, or where to get them."""

    id: str
    count: int
    old: tuple[int, int]
    new: tuple[int, int]
    lines: Sequence[Line] = ()
    pairs: Sequence[Pair] = ()
    page: str = ""
    """Where a page begins with these lines."""
    alone: str = ""
    """Where they are to be had by themselves."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page is, and where parts of the diff are: both take `file`, `chunk` and `view`."""

    page: str
    parts: str


@dataclass
class Review:
    """What a page shows of a diff; it begins at a file and chunk if these are given."""

    diff: Diff
    place: Place
    view: str = "unified"
    file: int = 0
    chunk: int = 0
    _left: int = field(default=AT_ONCE, init=False)

    def __post_init__(self) -> None:
        """Know only views that there are."""
        self.view = self.view if self.view in VIEWS else VIEWS[0]

    def link(self, view: str) -> str:
        """Give the address of the same page in another view."""
        return self._address(self.place.page, view=view)

    def open(self, number: int, file: File) -> bool:
        """Say whether a file is open at first."""
        return number == self.file or not file.folded

    def chunks(self, number: int, file: File) -> list[Chunk]:
        """Give the chunks of a file, as many of them with their lines as there is room for."""
        found = []
        for at in range(len(file.starts)):
            wanted = self.open(number, file) and (number, at) >= (self.file, self.chunk)
            shown = wanted and self._left > 0
            found.append(self.one(number, file, at) if shown else self._link(number, file, at))
            self._left -= found[-1].count if shown else 0
        return found

    def one(self, number: int, file: File, at: int) -> Chunk:
        """Give one chunk with its lines."""
        rows = file.chunk(at)
        lines = unified(rows, file.path) if self.view == "unified" else ()
        pairs = split(rows, file.path) if self.view == "split" else ()
        return Chunk(f"f{number}c{at}", len(rows), *_ranges(file, at), lines=lines, pairs=pairs)

    def _link(self, number: int, file: File, at: int) -> Chunk:
        name, place = f"f{number}c{at}", {"file": number, "chunk": at, "view": self.view}
        page = f"{self._address(self.place.page, **place)}#{name}"
        alone = self._address(self.place.parts, **place)
        count = len(file.chunk(at))
        return Chunk(name, count, *_ranges(file, at), page=page, alone=alone)

    @staticmethod
    def _address(address: str, **values: object) -> str:
        return f"{address}{'&' if '?' in address else '?'}{urlencode(values)}"


def _ranges(file: File, at: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Give the first and last line numbers of a chunk, on both sides; 0 where a side has none."""
    rows = file.chunk(at)
    old = [row.old for row in rows if row.old is not None]
    new = [row.new for row in rows if row.new is not None]
    return (
        (old[0], old[-1]) if old else (0, 0),
        (new[0], new[-1]) if new else (0, 0),
    )
