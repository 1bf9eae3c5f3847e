"""Log text as lines of safe pieces: colours become class names, every other control goes."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_LINES = 5000

_ESCAPE = re.compile(
    r"\x1b\[(?P<sgr>[0-9;:]*)m"
    r"|\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b[ -/]*[0-~]?"
)
_COLOURS = ("dim", "red", "green", "yellow", "blue", "magenta", "cyan", "")


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text with the classes of its colours."""

    text: str
    classes: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log with its number, which is 0 where what is before it was not counted."""

    number: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """The lines that are shown, how many before them are not, and whether there are uncounted ones."""

    lines: tuple[Line, ...]
    hidden: int
    cut: bool = False


@dataclass(slots=True)
class _Style:
    """The colours that hold while a line is read."""

    bold: bool = False
    dim: bool = False
    colour: str = ""

    def take(self, codes: str) -> None:
        """Follow one colour sequence; what is not known changes nothing."""
        numbers = [int(code) for code in re.split("[;:]", codes or "0") if code.isdigit()] or [0]
        if numbers[0] in (38, 48):
            return
        for number in numbers:
            self._set(number)

    def _set(self, number: int) -> None:
        if number == 0:
            self.bold, self.dim, self.colour = False, False, ""
        elif number in (1, 2):
            self.bold, self.dim = number == 1, number == 2
        elif number == 22:
            self.bold = self.dim = False
        elif 30 <= number <= 37 or 90 <= number <= 97:
            self.colour = _COLOURS[number % 10]
        elif number == 39:
            self.colour = ""

    def classes(self) -> str:
        """Name the classes of the stylesheet."""
        names = ("b" if self.bold else "", "dim" if self.dim else "", self.colour)
        return " ".join(f"a-{name}" for name in names if name)


def _pieces(text: str, style: _Style) -> tuple[Piece, ...]:
    found: list[Piece] = []
    at = 0
    for escape in _ESCAPE.finditer(text):
        if escape.start() > at:
            found.append(Piece(text[at : escape.start()], style.classes()))
        if escape["sgr"] is not None:
            style.take(escape["sgr"])
        at = escape.end()
    if at < len(text):
        found.append(Piece(text[at:], style.classes()))
    return tuple(found)


def _last_state(text: str) -> str:
    """Keep what a terminal would show of a line that was written over."""
    return text.rstrip("\r").rpartition("\r")[2]


def read(text: str, limit: int = MAX_LINES, *, cut: bool = False) -> Log:
    """Split a log into lines, the last `limit` of them; `cut` when more is before the text."""
    rows = text.split("\n")
    if rows and not rows[-1]:
        rows.pop()
    hidden = max(0, len(rows) - limit)
    style = _Style()
    lines = (
        Line(0 if cut else number, _pieces(_last_state(row), style))
        for number, row in enumerate(rows[hidden:], hidden + 1)
    )
    return Log(tuple(lines), hidden, cut)
