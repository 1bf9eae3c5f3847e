"""What the fair order and caps come to: a simulated platform, with a clock of its own, on the real ready set."""

import heapq
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.servers import REDIS, adapters, must_have

from codexsys_adapters.redis import RedisReadySet, open_redis
from codexsys_core.ready import Waiting, turn_at

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
SLOTS = 8
DISPATCH_SECONDS = 0.05
HEAVY = 1000
LIGHT_TASKS = 150


class Simulation:
    """Eight slots, tasks of about a minute, and one light tenant with one task at a time."""

    def __init__(self, ready: RedisReadySet, *, cap: int, seed: int) -> None:
        self.ready = ready
        self.cap = cap
        self.random = random.Random(seed)
        self.events: list[tuple[float, str, str]] = []
        self.queued: dict[str, float] = {}
        self.running: Counter[str] = Counter()
        self.starts: list[tuple[str, float, float]] = []
        """(tenant, seconds waited, when)"""

    async def submit(self, now: float, tenant: str) -> None:
        task = f"{tenant}-{len(self.queued):06}"
        self.queued[task] = now
        await self.ready.add([Waiting(tenant, task, turn_at(NOON + timedelta(seconds=now), 5))])

    async def dispatch(self, now: float) -> None:
        while self.running.total() < SLOTS:
            full = [tenant for tenant, count in self.running.items() if count >= self.cap]
            task = await self.ready.pop(full=full)
            if task is None:
                return
            tenant = task.partition("-")[0]
            self.running[tenant] += 1
            self.starts.append((tenant, now + DISPATCH_SECONDS - self.queued[task], now))
            heapq.heappush(self.events, (now + self.random.uniform(30, 90), "end", tenant))

    async def run(self, *, heavy: int) -> list[float]:
        """Return how long each of the light tenant's tasks waited."""
        for _ in range(heavy):
            await self.submit(0, "heavy")
        heapq.heappush(self.events, (1.0, "submit", "light"))
        while self.events and len(self.waits()) < LIGHT_TASKS:
            now, kind, tenant = heapq.heappop(self.events)
            if kind == "submit":
                await self.submit(now, tenant)
            else:
                self.running[tenant] -= 1
                if tenant == "light":
                    thinks = self.random.expovariate(1 / 10)
                    heapq.heappush(self.events, (now + thinks, "submit", tenant))
                else:
                    await self.submit(now, tenant)  # its queue stays as long as it was
            await self.dispatch(now)
        while await self.ready.pop():
            continue
        return self.waits()

    def waits(self) -> list[float]:
        return [waited for tenant, waited, _ in self.starts if tenant == "light"]


@pytest.fixture(params=adapters("memory", "redis", REDIS))
async def ready_set(request: pytest.FixtureRequest) -> AsyncIterator[RedisReadySet]:
    url = "memory:" if request.param == "memory" else must_have(REDIS)
    async with open_redis(url, namespace=f"test-{uuid.uuid4().hex}") as connection:
        yield RedisReadySet(connection)


def p99(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.99)]


async def test_a_light_tenant_hardly_notices_a_thousand_tasks_of_another(
    ready_set: RedisReadySet,
) -> None:
    alone = await Simulation(ready_set, cap=6, seed=1).run(heavy=0)
    behind = await Simulation(ready_set, cap=6, seed=1).run(heavy=HEAVY)
    assert len(alone) == len(behind) == LIGHT_TASKS
    assert p99(behind) <= 1.5 * p99(alone)


async def test_without_caps_it_has_the_next_slot_that_becomes_free(
    ready_set: RedisReadySet,
) -> None:
    simulation = Simulation(ready_set, cap=SLOTS, seed=2)
    await simulation.run(heavy=HEAVY)
    for tenant, waited, started in simulation.starts:
        if tenant == "light":
            asked = started + DISPATCH_SECONDS - waited
            others = [
                each
                for each, _, at in simulation.starts
                if each == "heavy" and asked < at < started
            ]
            assert len(others) <= 1
