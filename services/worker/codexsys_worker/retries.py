"""Retries: whether an attempt is followed by another one, and when that is due."""

from collections.abc import Callable

from codexsys_core.attempt import AttemptStore
from codexsys_core.ids import Ids
from codexsys_core.outcome import Outcome
from codexsys_wiring.metrics import RETRIES
from codexsys_worker.work import Lost, Work

LONGEST_SECONDS = 300.0


class Retries:
    """The reason's category decides: what the network or the platform did may end otherwise next time.

    All attempts of a task share its wallet, and the next one carries on from the last checkpoint.
    """

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        ids: Ids,
        first_seconds: float,
        chance: Callable[[], float],
    ) -> None:
        self._attempts = attempts
        self._ids = ids
        self._first_seconds = first_seconds
        self._chance = chance

    async def again(self, work: Work, outcome: Outcome) -> bool:
        """Queue another attempt where it may end otherwise and one is left; raises `Lost`."""
        number = work.hold.number
        if not outcome.reason.retryable or number >= work.spec.limits.attempts or work.end:
            return False
        queued = await self._attempts.again(
            work.hold,
            outcome,
            new_attempt_id=self._ids.new("att"),
            delay_seconds=pause(number, self._first_seconds, self._chance()),
        )
        if not queued:
            raise Lost
        work.over = True
        RETRIES.labels(outcome.reason.value).inc()
        return True

    async def give_back(self, work: Work, outcome: Outcome) -> None:
        """Queue the same attempt, which had not begun to work; raises `Lost`."""
        queued = await self._attempts.again(
            work.hold, outcome, new_attempt_id=None, delay_seconds=0
        )
        if not queued:
            raise Lost
        work.over = True


def pause(number: int, first_seconds: float, chance: float) -> float:
    """Return the seconds after attempt `number`: doubled each time, up to five minutes.

    `chance`, from 0 to 1, takes away up to half of it, so that what failed together does not come
    back together.
    """
    longest = min(LONGEST_SECONDS, first_seconds * 2.0 ** min(number - 1, 30))
    return longest * (1 - chance / 2)
