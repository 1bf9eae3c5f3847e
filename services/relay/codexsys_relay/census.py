"""Counts the rows for /metrics: what waits, what runs, what should have moved on."""

from codexsys_core.census import CensusStore
from codexsys_core.clock import Clock
from codexsys_wiring.metrics import CENSUS_AT, EXPIRED_LEASES, QUEUE_AGE, TASKS, UNPUBLISHED

UNPUBLISHED_SECONDS = 60.0


class Counting:
    """Sets the gauges. Every replica shows the same; alarms take the largest."""

    def __init__(self, *, census: CensusStore, clock: Clock) -> None:
        self._census = census
        self._clock = clock

    async def once(self) -> None:
        """Count."""
        found = await self._census.census(unpublished_seconds=UNPUBLISHED_SECONDS)
        for status, number in found.tasks.items():
            TASKS.labels(status).set(number)
        QUEUE_AGE.set(found.queue_age_seconds)
        EXPIRED_LEASES.set(found.expired_leases)
        UNPUBLISHED.labels("record").set(found.unpublished_records)
        UNPUBLISHED.labels("result").set(found.unpublished_results)
        CENSUS_AT.set(self._clock.now().timestamp())
