"""kill -9 at each step of submit, claim, prepare, create, collect, finish and publish: nothing is lost, nothing is left.

`CODEXSYS_CHAOS_TIMES` says how often at each (once unless told otherwise).
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.chaos.place import Place, opened

TIMES = int(os.environ.get("CODEXSYS_CHAOS_TIMES", "1"))
pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(600 * TIMES)]

SLOTS = 4
SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_LEASE_SECONDS": "2",
    "CODEXSYS_RELAY_SECONDS": "0.3",
    "CODEXSYS_WORKER_SLOTS": str(SLOTS),
}
# Three at a time: what is taken over more often than that ends as poisoned.
WAVES = {
    "claim": ("attempts.claim:before", "attempts.claim:after", "attempts.move:after"),
    "prepare": ("objects.fetch:after", "attempts.set_base:before", "attempts.set_base:after"),
    "create": ("sandboxes.add:after", "backend.create:after", "sandboxes.live:after"),
    "collect": ("backend.start:after", "logs.extend:after", "bench.apply:after"),
    "finish": ("logs.seal:after", "attempts.end:before", "attempts.end:after"),
    "publish": (
        "queue.publish_result:after",
        "outbox.result_published:after",
        "backend.destroy:after",
    ),
}
SUBMIT = ("objects.put:after", "tasks.add:before", "tasks.add:after", "queue.publish_tasks:after")
RELAY = (
    "queue.publish_result:before",
    "queue.publish_result:after",
    "outbox.result_published:after",
)


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with opened(tmp_path, redis_number=5, settings=SETTINGS) as found:
        yield found


async def test_a_worker_that_dies_at_any_step_loses_nothing(place: Place) -> None:
    api, *_ = await asyncio.gather(
        *(place.fleet.start(service, 1) for service in ("api", "relay", "worker"))
    )
    for points in [*WAVES.values()] * TIMES:
        await place.submit_until_dead(api.url, place.doomed("worker", points))
        await place.over()
    await place.fleet.start("worker", 2)  # a start clears away the works of the dead
    await place.judge()


async def test_an_api_that_dies_at_any_step_of_a_submit_makes_one_task(place: Place) -> None:
    for time in range(TIMES):
        for number, each in enumerate(place.doomed("api", SUBMIT)):
            op = f"op-{time}-{number}"
            await place.fleet.until_ready(each)
            await place.submit(each.url, op)
            assert await asyncio.to_thread(each.process.wait, 20) == -signal.SIGKILL, each.said()
            again = place.fleet.again(each.name)
            await place.fleet.until_ready(again)
            await place.submitted(again.url, op)
            await again.stop()
    await asyncio.gather(*(place.fleet.start(service, 1) for service in ("relay", "worker")))
    await place.judge()


async def test_a_relay_that_dies_at_any_step_announces_every_end(place: Place) -> None:
    """Workers die once an attempt has ended: its result is the relays' to announce, who die at that."""
    api = await place.fleet.start("api", 1)
    for _ in range(TIMES):
        relays = place.doomed("relay", RELAY)
        workers = place.doomed("worker", ("attempts.end:after",) * 3)
        await place.submit_until_dead(api.url, [*relays, *workers])
        heirs = [await place.fleet.start(service, 1) for service in ("worker", "relay")]
        await place.over()  # what a fourth worker dies with ends as poisoned
        await asyncio.gather(*(each.stop() for each in heirs))
    await asyncio.gather(*(place.fleet.start(service, 1) for service in ("worker", "relay")))
    await place.judge()


async def test_a_worker_that_dies_while_it_hands_over_loses_nothing(place: Place) -> None:
    api, _ = await asyncio.gather(*(place.fleet.start(each, 1) for each in ("api", "relay")))
    for time in range(TIMES):
        doomed = place.doomed("worker", ("orphans.release:before", "orphans.release:after"))
        for each in doomed:
            await place.fleet.until_ready(each)
        for number in range(SLOTS + 1):  # more than one of them can take
            await place.submitted(api.url, f"op-{time}-{number}", steer={"DUMMY_AGENT_DELAY": "9"})
        await place.at_work(SLOTS + 1)
        for each in doomed:
            each.process.send_signal(signal.SIGTERM)
        ends = [await asyncio.to_thread(each.process.wait, 30) for each in doomed]
        assert ends == [-signal.SIGKILL] * len(doomed), [each.said() for each in doomed]
        heir = await place.fleet.start("worker", 1)
        await place.over()
        await heir.stop()
    await place.fleet.start("worker", 1)
    await place.judge()
