"""Waiting for a cluster that answered before: its API server restarts, or is asked by too many."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from codexsys_adapters.kubernetes.cluster import Away
from codexsys_core.clock import Clock

AWAY_SECONDS = 180.0
"""How long the cluster may be away while somebody waits for it."""
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0

T = TypeVar("T")


class Patience:
    """Asks again what may be asked twice. One that never answered may be the wrong one: that is said at once."""

    def __init__(self, clock: Clock, *, seconds: float = AWAY_SECONDS) -> None:
        self._clock = clock
        self._seconds = seconds
        self._answered = False

    async def __call__(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return the answer; raises `Away` when there was none for long, and whatever was answered."""
        until = self._clock.monotonic() + self._seconds
        pause = _PAUSE_SECONDS
        while True:
            try:
                answer = await ask()
            except Away:
                if not self._answered or self._clock.monotonic() >= until:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            else:
                self._answered = True
                return answer
