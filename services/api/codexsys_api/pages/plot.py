"""Bars by day as numbers for an SVG: what the server can draw needs no script."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, LEFT, RIGHT, TOP, FOOT = 1000, 64, 8, 10, 24
_STEPS = 4
_WIDEST = 48.0
_NAMED = 8
"""How many days have their name below them."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across, or a name below: where, and what it says."""

    at: str
    said: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: what it says, and two bars of which the second is a part of the first."""

    said: str
    x: str
    width: str
    y: str
    height: str
    part_y: str
    part_height: str


@dataclass(frozen=True, slots=True)
class Plot:
    """Bars with their scale."""

    height: int
    bars: Sequence[Bar]
    lines: Sequence[Mark]
    names: Sequence[Mark]

    @property
    def bottom(self) -> int:
        """Return where nothing is."""
        return self.height - FOOT


def bars(
    days: Sequence[date],
    values: Sequence[float],
    parts: Sequence[float],
    *,
    height: int,
    said: Callable[[float], str],
    tell: Callable[[int], str],
) -> Plot:
    """Draw a bar a day; `said` names a step of the scale, `tell` the n-th bar."""
    step = _step(max(values, default=0))
    bottom, unit = height - FOOT, (height - FOOT - TOP) / (_STEPS * step)
    pitch = (WIDTH - LEFT - RIGHT) / max(1, len(days))
    width = min(_WIDEST, pitch * 0.68)
    drawn = [
        Bar(
            said=tell(number),
            x=f"{LEFT + (number + 0.5) * pitch - width / 2:.1f}",
            width=f"{width:.1f}",
            y=f"{bottom - value * unit:.1f}",
            height=f"{value * unit:.1f}",
            part_y=f"{bottom - part * unit:.1f}",
            part_height=f"{part * unit:.1f}",
        )
        for number, (value, part) in enumerate(zip(values, parts, strict=True))
    ]
    lines = [
        Mark(f"{bottom - level * step * unit:.1f}", said(level * step))
        for level in range(_STEPS + 1)
    ]
    every = math.ceil(len(days) / _NAMED)
    named = range((len(days) - 1) % every if days else 0, len(days), max(1, every))
    names = [
        Mark(f"{LEFT + (number + 0.5) * pitch:.1f}", f"{days[number]:%-d %b}") for number in named
    ]
    return Plot(height, drawn, lines, names)


def _step(most: float) -> float:
    """Return a round number of which a few reach the most that there is."""
    wanted = most / _STEPS
    if wanted <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(wanted))
    return next(power * each for each in (1, 2, 2.5, 5, 10) if power * each >= wanted * 0.999)
