"""The relay's duties, one statement each. Any number of relays may do them at the same time."""

import asyncio

import structlog

from codexsys_core.announcement import Outbox, Queue
from codexsys_core.attempt import AttemptStore
from codexsys_core.clock import Clock
from codexsys_core.question import QuestionStore
from codexsys_core.quota import QuotaStore
from codexsys_core.ready import ReadySet
from codexsys_core.vigil import MOST_TAKEOVERS, Vigil
from codexsys_core.wallet import Wallet
from codexsys_wiring.metrics import TAKEOVERS

BATCH = 200
UNPUBLISHED_SECONDS = 1.0
"""A record that its maker has not published by then is the relay's."""


class Missing:
    """Adds queued, due rows that the ready set has lost or never had, and says how tenants weigh."""

    def __init__(self, *, outbox: Outbox, quotas: QuotaStore, ready: ReadySet) -> None:
        self._outbox = outbox
        self._quotas = quotas
        self._ready = ready

    async def once(self) -> None:
        """Retries, resumes, a dead Kafka and a flushed Redis are all served by this."""
        await self._outbox.expire_queued(limit=BATCH)
        waiting = await self._outbox.waiting(limit=BATCH * 5)
        if waiting:
            await self._ready.weigh(await self._quotas.weights())
            await self._ready.add(waiting)


class Unpublished:
    """Publishes records and results that never went out."""

    def __init__(self, *, outbox: Outbox, queue: Queue) -> None:
        self._outbox = outbox
        self._queue = queue

    async def once(self) -> None:
        """Publish, then note it; a crash in between makes a copy, which readers tolerate."""
        for record in await self._outbox.unpublished_results(
            older_than_seconds=UNPUBLISHED_SECONDS, limit=BATCH
        ):
            await self._queue.publish_result(record)
            if record.end_reason == "poisoned":
                await self._queue.publish_dead(record.task_id, record.end_reason)
            await self._outbox.result_published(record.task_id, record.seq)
        tasks = await self._outbox.unpublished_tasks(
            older_than_seconds=UNPUBLISHED_SECONDS, limit=BATCH
        )
        if tasks:
            await self._queue.publish_tasks(tasks)
            await self._outbox.tasks_published(tasks)


class Unanswered:
    """Sees to questions that nobody answered in time: the default counts, or the task ends."""

    def __init__(self, *, questions: QuestionStore) -> None:
        self._questions = questions

    async def once(self) -> None:
        """An answer that comes first wins."""
        await self._questions.overdue(limit=BATCH)


class Expired:
    """Queues attempts whose owner has stopped renewing, and settles what their calls had reserved.

    A relay that starts, or whose last good pass is longer ago than `quiet_seconds`, waits one lease
    before it takes anything over, and the grace in which workers that woke up with it may adopt.
    """

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        wallet: Wallet,
        clock: Clock,
        lease_seconds: float,
        grace_seconds: float,
        quiet_seconds: float,
    ) -> None:
        self._attempts = attempts
        self._wallet = wallet
        self._lease_seconds = lease_seconds
        self._grace_seconds = grace_seconds
        self._vigil = Vigil(
            clock=clock, quiet_seconds=quiet_seconds, wait_seconds=lease_seconds + grace_seconds
        )

    async def once(self) -> None:
        """Take over what has expired."""
        await self._wallet.settle_overdue(limit=BATCH)  # tells, too, that the database answers
        self._vigil.hear()
        if self._vigil.awake:
            await self._take_over()

    async def _take_over(self) -> None:
        # An answer that comes late is of a database that was frozen, and its leases are no evidence.
        async with asyncio.timeout(self._lease_seconds / 3):
            taken = await self._attempts.take_over(
                grace_seconds=self._grace_seconds,
                restart_seconds=self._lease_seconds,
                most=MOST_TAKEOVERS,
                limit=BATCH,
            )
        TAKEOVERS.inc(len(taken))
        for hold in taken:
            structlog.get_logger().warning(
                "attempt taken over", task_id=hold.task_id, fence=hold.fence
            )
