"""Adopt: attempts at this place whose owner is gone, with the sandbox in which their agent goes on."""

import asyncio

import structlog

from codexsys_core.attempt import Claim, Orphans
from codexsys_core.clock import Clock
from codexsys_core.errors import Unavailable
from codexsys_core.vigil import MOST_TAKEOVERS, Vigil
from codexsys_wiring.metrics import ADOPTIONS
from codexsys_worker.beat import Beat

LOOKS = 6
"""So often in a lease, and at least once a second."""
BATCH = 20
"""Few at a time: what was taken when an answer comes too late has no owner for a lease."""


class Adopter:
    """Looks for them now and then. A relay takes what nobody adopted, and restarts it elsewhere."""

    def __init__(
        self,
        *,
        orphans: Orphans,
        beat: Beat,
        vigil: Vigil,
        clock: Clock,
        place: str,
        lease_seconds: float,
    ) -> None:
        self._orphans = orphans
        self._vigil = vigil
        self._beat = beat
        self._clock = clock
        self._place = place
        self._lease_seconds = lease_seconds
        self.pause = min(1.0, lease_seconds / LOOKS)
        self._next = 0.0

    async def look(self, free: int) -> list[Claim]:
        """Return what was taken now, for at most so many free slots; nothing when it is not time yet."""
        if self._clock.monotonic() < self._next:
            return []
        limit = min(free, BATCH) if self._vigil.awake else 0
        try:
            async with asyncio.timeout(self._lease_seconds / 3):
                claims = await self._take(limit)
        except (Unavailable, TimeoutError) as error:
            structlog.get_logger().warning("nothing adopted", error=str(error))
            claims = []
        else:
            self._vigil.hear()
        if not claims:
            self._next = self._clock.monotonic() + self.pause
        return claims

    async def _take(self, limit: int) -> list[Claim]:
        """Ask the database, even where nothing is wanted: to know that it answers."""
        claims = await self._orphans.adopt(
            self._beat.owner,
            self._place,
            held=[work.hold.attempt_id for work in self._beat.works()],
            lease_seconds=self._lease_seconds,
            most=MOST_TAKEOVERS,
            limit=limit,
        )
        ADOPTIONS.inc(len(claims))
        for claim in claims:
            structlog.get_logger().warning(
                "attempt adopted", task_id=claim.hold.task_id, fence=claim.hold.fence
            )
        return claims
