"""Beat: renew what this worker holds, and hear what it lost, what is to be cancelled, who is full."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from codexsys_core.attempt import AttemptStore, Hold
from codexsys_core.clock import Clock
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Unavailable
from codexsys_core.outcome import Outcome
from codexsys_core.ready import Hints
from codexsys_core.vigil import Vigil
from codexsys_wiring.metrics import BEATS_FAILED, LEASES, LEASES_LOST
from codexsys_worker.caps import Caps
from codexsys_worker.work import Work

BEATS = 3
"""So often in a lease; after one that failed, so much sooner."""
_CANCELLED = Outcome(reason=EndReason.CANCELLED)


class Beat:
    """One per worker process; its owner id is new at every start."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        hints: Hints,
        clock: Clock,
        caps: Caps,
        vigil: Vigil,
        owner: str,
        lease_seconds: float,
    ) -> None:
        self.owner = owner
        self._caps = caps
        self._vigil = vigil
        self._attempts = attempts
        self._hints = hints
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._works: dict[Hold, Work] = {}
        self._now = asyncio.Event()
        self._stopping = False
        self._listener: asyncio.Task[None] | None = None

    @contextmanager
    def holding(self, work: Work) -> Iterator[None]:
        """Renew this attempt's lease as long as the block runs.

        One that was lost and got back is here twice for a while: the former work still has to end.
        """
        self._works[work.hold] = work
        LEASES.inc()
        try:
            yield
        finally:
            del self._works[work.hold]
            LEASES.dec()
            if self._stopping:
                self._now.set()

    def works(self) -> list[Work]:
        """Return what is held now."""
        return list(self._works.values())

    async def run(self) -> None:
        """Beat three times a lease, at once when a cancel is hinted, and soon after one that failed."""
        self._listener = asyncio.create_task(self._listen())
        pause = self._lease_seconds / BEATS
        while not (self._stopping and not self._works):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._now.wait(), pause)
            self._now.clear()
            good = await self._beat()
            pause = self._lease_seconds / (BEATS if good else BEATS * BEATS)
            if good:  # else the caps that were read last stand
                await self._caps.read()
        self._listener.cancel()

    def stop(self) -> None:
        """Go on beating until nothing is held, then return."""
        self._stopping = True
        self._now.set()

    async def _beat(self) -> bool:
        works = [work for work in self.works() if not work.over]
        if not works:
            return True
        for work in works:
            work.tell_time(self._clock.now())
        try:
            async with asyncio.timeout(self._lease_seconds / BEATS):
                beat = await self._attempts.beat(
                    self.owner, [work.hold for work in works], lease_seconds=self._lease_seconds
                )
        except (Unavailable, TimeoutError) as error:
            BEATS_FAILED.inc()
            structlog.get_logger().warning("leases not renewed", held=len(works), error=str(error))
            return False
        self._vigil.hear()
        for work in works:
            if work.hold in beat.lost:
                LEASES_LOST.inc()
                work.tell_lost()
            elif work.hold in beat.cancelled:
                work.tell_end(_CANCELLED)
        return True

    async def _listen(self) -> None:
        async with self._hints.listen("cancel") as payloads:
            async for task_id in payloads:
                if any(work.task.id == task_id for work in self._works.values()):
                    self._now.set()
