"""Whether leases that ran out say anything: not to one who has not been watching."""

from codexsys_core.clock import Clock

MOST_TAKEOVERS = 3
"""An attempt whose owners were lost more often ends its task as `poisoned`."""


class Vigil:
    """Of one who takes over what others lost.

    The database may have been away, or this process asleep: then the owners just had no way to
    renew. So one who starts, or who has not heard the database for longer than `quiet_seconds`,
    waits before it believes any lease to have run out.
    """

    def __init__(self, *, clock: Clock, quiet_seconds: float, wait_seconds: float) -> None:
        self._clock = clock
        self._quiet_seconds = quiet_seconds
        self._wait_seconds = wait_seconds
        self._heard: float | None = None
        self._not_before = 0.0

    def hear(self) -> None:
        """Note that the database answers now."""
        now = self._clock.monotonic()
        if self._heard is None or now - self._heard > self._quiet_seconds:
            self._not_before = now + self._wait_seconds
        self._heard = now

    @property
    def awake(self) -> bool:
        """Say whether an expired lease is one whose owner is gone."""
        now = self._clock.monotonic()
        return (
            self._heard is not None
            and now - self._heard <= self._quiet_seconds
            and now >= self._not_before
        )
