"""Who takes more than its share, one processor, yields to sandboxes beside it that do not."""

import time
from collections.abc import Callable

YIELDING = 8
"""How many times less it weighs meanwhile.

The kernel spreads a group's weight over the processors on which it runs. A program with one thread
beside a sandbox that keeps two processors busy would get two thirds of one; this way it gets 94 %,
and the other has all that is left. Where nobody is beside it, weights mean nothing.
"""
_LOOK_SECONDS, _BACK_SECONDS = 0.1, 2.0
"""How long it looks at least before it weighs less, and before it weighs as much again."""
_MORE, _LESS = 1.1, 0.9
"""Times its share; apart, so that it does not change with each look."""


class Yielding:
    """Watches what a group uses, and has it weigh less or again as much as others."""

    def __init__(
        self,
        used: Callable[[], float],
        weigh: Callable[[int], None],
        *,
        share: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`used` returns processor seconds so far; `weigh` is told by what to divide the weight."""
        self._used = used
        self._weigh = weigh
        self._share = share
        self._now = now
        self._since: tuple[float, float] | None = None
        self._heavy = False

    def look(self) -> None:
        """Look, unless that was just done; the first look says nothing yet."""
        now = self._now()
        if self._since is None:
            self._since = (now, self._used())
            return
        then, before = self._since
        elapsed = now - then
        if elapsed < (_BACK_SECONDS if self._heavy else _LOOK_SECONDS):
            return
        used = self._used()
        self._since = (now, used)
        heavy = (used - before) / elapsed > self._share * (_LESS if self._heavy else _MORE)
        if heavy != self._heavy:
            self._weigh(YIELDING if heavy else 1)
            self._heavy = heavy
