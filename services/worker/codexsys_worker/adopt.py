"""Adopt and release: attempts of this place change owners while their agents go on in their sandboxes."""

import asyncio
from collections.abc import Sequence

import structlog

from codexsys_core.attempt import Claim, Heir, Hold, Orphans
from codexsys_core.clock import Clock
from codexsys_core.errors import Unavailable
from codexsys_core.vigil import MOST_TAKEOVERS, Vigil
from codexsys_wiring.metrics import ADOPTIONS, RELEASES
from codexsys_worker.beat import Beat

LOOKS = 6
"""So often in a lease, and at least once a second."""
BATCH = 20
"""Few at a time: what was taken when an answer comes too late has no owner for a lease."""
BEYOND = 2
"""A full worker adopts until it has so many times its slots: what lives here uses this host anyway."""
RELEASE_SECONDS = 8.0


class Adopter:
    """Looks for them now and then. A relay takes what nobody adopted, and restarts it elsewhere."""

    def __init__(
        self,
        *,
        orphans: Orphans,
        beat: Beat,
        vigil: Vigil,
        clock: Clock,
        heir: Heir,
        slots: int,
    ) -> None:
        self._orphans = orphans
        self._vigil = vigil
        self._beat = beat
        self._clock = clock
        self._heir = heir
        self._slots = slots
        self.pause = min(1.0, heir.lease_seconds / LOOKS)
        self._next = 0.0

    async def look(self, running: int) -> list[Claim]:
        """Return what was taken now, beside so much that runs; nothing when it is not time yet."""
        if self._clock.monotonic() < self._next:
            return []
        try:
            async with asyncio.timeout(self._heir.lease_seconds / 3):
                claims = await self._take(running)
        except (Unavailable, TimeoutError) as error:
            structlog.get_logger().warning("nothing adopted", error=str(error))
            claims = []
        else:
            self._vigil.hear()
        if not claims:
            self._next = self._clock.monotonic() + self.pause
        return claims

    async def _take(self, running: int) -> list[Claim]:
        """Ask the database, even where nothing is wanted: to know that it answers.

        What was released needs no belief in leases. A full worker lets those with free slots look first.
        """
        free = self._slots - running
        limit = free if free > 0 else self._slots * BEYOND - running
        claims = await self._orphans.adopt(
            self._heir,
            held=[work.hold.attempt_id for work in self._beat.works()],
            most=MOST_TAKEOVERS,
            limit=max(0, min(limit, BATCH)),
            waited_seconds=0 if free > 0 else 2 * self.pause,
            released=not self._vigil.awake,
        )
        for claim in claims:
            owner = "released" if claim.living and claim.living.released else "died"
            ADOPTIONS.labels(owner).inc()
            structlog.get_logger().warning(
                "attempt adopted", task_id=claim.hold.task_id, fence=claim.hold.fence, owner=owner
            )
        return claims

    async def release(self, holds: Sequence[Hold]) -> None:
        """Let go of attempts; where the database is away, their leases run out instead."""
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                released = await self._orphans.release(self._heir.owner, holds)
        except (Unavailable, TimeoutError) as error:
            structlog.get_logger().warning("leases left to run out", error=str(error))
            return
        RELEASES.inc(len(released))
        structlog.get_logger().info("attempts released", number=len(released))
