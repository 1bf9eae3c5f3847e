"""How fast somebody may ask: a rate with a burst, counted by GCRA, over all replicas where they can agree."""

from typing import NamedTuple, Protocol

from codexsys_core.clock import Clock
from codexsys_core.errors import Unavailable

AWAY_SECONDS = 5.0
"""So long after a failure the shared count is not asked."""


class Rate(NamedTuple):
    """So many a minute, and so many at once."""

    name: str
    per_minute: int
    burst: int

    @property
    def interval(self) -> float:
        """Return the seconds that one costs."""
        return 60 / self.per_minute

    @property
    def window(self) -> float:
        """Return the seconds after which the whole burst is there again."""
        return self.interval * self.burst


class Allowance(NamedTuple):
    """What is left; `retry_after` is more than 0 when nothing was: then the request is not to be answered."""

    remaining: int
    retry_after: float = 0.0


class Rates(Protocol):
    """Counts by key. Concurrency-safe; raises `Unavailable` where the count is elsewhere and that is away."""

    async def take(self, key: str, rate: Rate) -> Allowance:
        """Take one, or say when there will be one."""


def step(due: float, now: float, rate: Rate) -> tuple[float, Allowance]:
    """Return when all that was taken is paid off, with one more, and what is left then.

    This is the generic cell rate algorithm: one number a key, and no window whose edge lets twice as
    many through.
    """
    after = max(due, now) + rate.interval
    over = after - now - rate.window
    if over > rate.interval * 1e-6:
        return due, Allowance(0, over)
    return after, Allowance(int((rate.window - (after - now)) / rate.interval + 1e-6))


class OwnRates:
    """`Rates` of this process alone."""

    def __init__(self, *, clock: Clock, most_keys: int = 10_000) -> None:
        self._clock = clock
        self._most = most_keys
        self._due: dict[str, float] = {}

    async def take(self, key: str, rate: Rate) -> Allowance:
        """Take one, or say when there will be one."""
        now = self._clock.monotonic()
        if len(self._due) > self._most:
            self._due = {each: due for each, due in self._due.items() if due > now}
        self._due[key], left = step(self._due.get(key, now), now, rate)
        return left


class SteadyRates:
    """`Rates` that are shared while that can be had, and this process's own while it cannot: never an error."""

    def __init__(self, *, shared: Rates, own: Rates, clock: Clock) -> None:
        self._shared = shared
        self._own = own
        self._clock = clock
        self._away_until = 0.0

    async def take(self, key: str, rate: Rate) -> Allowance:
        """Take one, or say when there will be one."""
        if self._clock.monotonic() >= self._away_until:
            try:
                return await self._shared.take(key, rate)
            except Unavailable:
                self._away_until = self._clock.monotonic() + AWAY_SECONDS
        return await self._own.take(key, rate)
