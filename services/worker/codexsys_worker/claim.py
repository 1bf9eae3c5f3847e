"""Claim: take ready tasks as slots become free, and see each through."""

import asyncio
import shutil
from contextlib import AbstractContextManager, nullcontext

import structlog

from codexsys_core.attempt import AttemptStore, Claim
from codexsys_core.errors import Unavailable
from codexsys_core.quota import AtCapacity
from codexsys_core.ready import ReadySet
from codexsys_wiring.folders import Folders
from codexsys_wiring.metrics import AT_CAPACITY, CLAIMS
from codexsys_worker.adopt import Adopter
from codexsys_worker.beat import Beat
from codexsys_worker.caps import Caps
from codexsys_worker.life import Life
from codexsys_worker.work import Work

MOST_AT_ONCE = 8
"""Claims that wait for the database side by side: one after the other, a burst would wait for itself."""
STOP_SECONDS = 8.0
"""What has not stopped acting by then is cut off; the rest of the process's grace is to let go."""


class Claimer:
    """Claims up to `slots` attempts at the same time; what runs here without an owner is taken beyond."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        ready: ReadySet,
        life: Life,
        beat: Beat,
        adopter: Adopter,
        caps: Caps,
        folders: Folders,
        slots: int,
        lease_seconds: float,
    ) -> None:
        self._attempts = attempts
        self._ready = ready
        self._life = life
        self._beat = beat
        self._adopter = adopter
        self._caps = caps
        self._folders = folders
        self._lease_seconds = lease_seconds
        self._slots = slots
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Claim until stopped, then hand the attempts under way over."""
        await asyncio.to_thread(self._folders.open)
        while not self._stopping.is_set():
            if await self._adopt():
                continue
            if len(self._running) >= self._slots:
                await self._slot_or_stop()
            elif not await self._take_some():
                await self._pause()
        await self._hand_over()
        await asyncio.to_thread(self._folders.close)

    def stop(self) -> None:
        """Take nothing new."""
        self._stopping.set()

    async def _slot_or_stop(self) -> None:
        stop = asyncio.create_task(self._stopping.wait())
        await asyncio.wait(
            [*self._running, stop],
            timeout=self._adopter.pause,
            return_when=asyncio.FIRST_COMPLETED,
        )
        stop.cancel()

    async def _pause(self) -> None:
        """Wait for news: of the ready set, or that a full tenant's attempt here has ended."""
        news = asyncio.create_task(self._ready.wait(self._adopter.pause))
        ending = self._running if self._caps.full else set()
        await asyncio.wait([news, *ending], return_when=asyncio.FIRST_COMPLETED)
        news.cancel()

    async def _take_some(self) -> bool:
        """Claim what is ready: one, then more and more at once while each of them finds something."""
        at_once, free = 1, self._slots - len(self._running)
        while at_once and not self._stopping.is_set():
            found = await asyncio.gather(*(self._take_one() for _ in range(at_once)))
            if not all(found):
                return any(found) or at_once > 1
            free -= at_once
            at_once = min(2 * at_once, MOST_AT_ONCE, free)
        return True

    async def _take_one(self) -> bool:
        """Claim the next ready task; a failed claim means that another was first."""
        try:
            task_id = await self._ready.pop(full=self._caps.full)
            if task_id is None:
                return False
            claim = await self._attempts.claim(
                task_id, owner=self._beat.owner, lease_seconds=self._lease_seconds
            )
        except AtCapacity as error:
            AT_CAPACITY.inc()
            self._caps.refused(error.tenant_id)  # the relay puts the entry back
            return True
        except Unavailable as error:
            structlog.get_logger().warning("claim waits", error=error.message)
            return False
        if claim is not None:
            CLAIMS.inc()
            self._begin(claim, self._caps.taken(claim.task.tenant_id))
        return True

    async def _adopt(self) -> bool:
        """Carry on with what others left here; the caps count it already.

        All of it is taken before any is begun, so that none waits for the others' beginnings; but
        not for so long that the first leases run out meanwhile.
        """
        claims: list[Claim] = []
        loop = asyncio.get_running_loop()
        until = loop.time() + self._lease_seconds / 3
        while some := await self._adopter.look(len(self._running) + len(claims)):
            claims += some
            if loop.time() > until:
                break
        for claim in claims:
            self._begin(claim, nullcontext())
        return bool(claims)

    def _begin(self, claim: Claim, counted: AbstractContextManager[None]) -> None:
        work = Work.of(claim, self._folders.new())
        task = asyncio.create_task(self._see(work, counted))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _see(self, work: Work, counted: AbstractContextManager[None]) -> None:
        with self._beat.holding(work), counted:
            try:
                await self._life.see_through(work)
            except Exception:
                structlog.get_logger().exception("attempt left alone", task_id=work.task.id)
            finally:
                await asyncio.to_thread(shutil.rmtree, work.folder, ignore_errors=True)

    async def _hand_over(self) -> None:
        """Stop acting, then let go: nothing is done here any more when an heir begins."""
        works = self._beat.works()
        for work in works:
            work.tell_lost()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)
        await self._adopter.release([work.hold for work in works if not work.over])
