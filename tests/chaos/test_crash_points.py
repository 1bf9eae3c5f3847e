"""kill -9 at each step of submit, claim, prepare, create, collect, finish and publish: nothing is lost, nothing is left."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.chaos import checker, evidence
from tests.chaos.evidence import Evidence, Where
from tests.chaos.history import Entry, History
from tests.support.distributed import Fleet, Running, eventually
from tests.support.users import make_key, zipped

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(600)]

SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_LEASE_SECONDS": "2",
    "CODEXSYS_RELAY_SECONDS": "0.3",
    "CODEXSYS_WORKER_SLOTS": "4",
}
ARCHIVE = zipped({"a.txt": "a\n"})
PATCH = """diff --git a/made.txt b/made.txt
new file mode 100644
index 0000000..257cc56
--- /dev/null
+++ b/made.txt
@@ -0,0 +1 @@
+foo
"""
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
SUBMIT = ("objects.put:after", "tasks.add:before", "tasks.add:after", "queue.publish_task:after")
RELAY = (
    "queue.publish_result:before",
    "queue.publish_result:after",
    "outbox.result_published:after",
)


@dataclass
class Place:
    """A fleet whose services may be told where to die, and a client that asks until it is answered."""

    fleet: Fleet
    history: History
    client: httpx2.AsyncClient
    where: Where
    asked: int = 0

    def doomed(self, service: str, points: tuple[str, ...]) -> list[Running]:
        """Start a service of each point, which dies there."""
        testing = {"CODEXSYS_TESTING": "1"}
        return [
            self.fleet.again(f"{service}-{number}", **testing, CODEXSYS_CRASH_AT=point)
            for number, point in enumerate(points, start=2)
        ]

    async def submit(self, url: str, op: str) -> bool:
        """Ask for a task once; say whether it was taken."""
        body: dict[str, Any] = {
            "prompt": "Make it",
            "engine": "command",
            "command": "true",
            "checks": {"strategy": "skip"},
            "labels": {"op": op},
            "environment": {"variables": {"DUMMY_PATCH": PATCH, "DUMMY_AGENT_CHATTER": "50"}},
        }
        files: dict[str, tuple[str | None, str | bytes, str]] = {
            "task": (None, json.dumps(body), "application/json"),
            "file": ("code.zip", ARCHIVE, "application/zip"),
        }
        headers = {"Idempotency-Key": op}
        try:
            answer = await self.client.post(f"{url}/api/v1/tasks", files=files, headers=headers)
        except httpx2.TransportError:
            return False
        if answer.status_code == 202:
            data = {"id": answer.json()["id"], "status": "queued"}
            self.history.add(Entry("submit", op, 0, 0, 202, data))
        return answer.status_code == 202

    async def submitted(self, url: str, op: str) -> None:
        """Ask for a task until it is taken."""

        async def taken() -> bool | None:
            return True if await self.submit(url, op) else None

        await eventually(taken, seconds=30, what=f"{op} is taken")

    async def submit_until_dead(self, url: str, doomed: list[Running]) -> None:
        """Give them work until each has died where it should."""

        async def dead() -> bool | None:
            if all(each.process.poll() is not None for each in doomed):
                return True
            self.asked += 1
            await self.submitted(url, f"op-{self.asked}")
            return None

        await eventually(dead, seconds=90, what="each has died at its point", every=0.5)
        ends = [(each.name, each.process.poll(), each.said(500)) for each in doomed]
        assert all(code == -signal.SIGKILL for _, code, _ in ends), ends

    async def over(self) -> None:
        """Wait until every task is terminal."""

        async def ended() -> bool | None:
            tasks = (await evidence.rows(self.where))["tasks"]
            return True if all(row["status"] in checker.TERMINAL for row in tasks) else None

        await eventually(ended, seconds=60, what="all tasks are over", every=0.3)

    async def rest(self) -> Evidence:
        """Wait until nothing moves and nothing is left."""
        moving: list[str] = []

        async def settled() -> Evidence | None:
            found = await evidence.gathered(self.where)
            moving[:] = checker.unsettled(found)
            return None if moving else found

        try:
            return await eventually(settled, seconds=60, what="rest", every=0.5)
        except AssertionError as error:
            raise AssertionError(f"{error}: {moving[:10]}") from None

    async def judge(self) -> None:
        """Every promise was kept, and every task has succeeded."""
        found = await self.rest()
        client, where = evidence.store(self.where), self.where
        broken = checker.broken(found, self.history)
        broken += await asyncio.to_thread(
            checker.unequal_artifacts, found, lambda name: evidence.digest(client, where, name)
        )
        ours = {row["id"] for row in found.rows["tasks"]}
        records = await evidence.results(where, 30)
        found.results = [record for record in records if record["task_id"] in ours]
        broken += checker.wrong_results(found, wiped_at=None)
        assert not broken, "\n".join(map(str, broken[:20]))
        assert {row["status"] for row in found.rows["tasks"]} == {"succeeded"}


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    hosts = tmp_path / "hosts"
    settings = SETTINGS | {"CODEXSYS_DATA_DIR": str(hosts / "one")}
    fleet = Fleet(folder=hosts, redis_number=5, settings=settings)
    history = History(tmp_path / "history.jsonl")
    async with fleet:
        servers = fleet.servers
        where = Where(
            mysql=servers.database,
            s3=servers.s3.geturl(),
            s3_key=servers.s3_key,
            s3_secret=servers.s3_secret,
            suffix=servers.suffix,
            kafka=servers.kafka,
            hosts=fleet.folder,
        )
        headers = {"Authorization": f"Bearer {await make_key(servers, 'ours')}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20, trust_env=False) as client:
            yield Place(fleet, history, client, where)
    history.close()


async def test_a_worker_that_dies_at_any_step_loses_nothing(place: Place) -> None:
    api, *_ = await asyncio.gather(
        *(place.fleet.start(service, 1) for service in ("api", "relay", "worker"))
    )
    for points in WAVES.values():
        await place.submit_until_dead(api.url, place.doomed("worker", points))
        await place.over()
    await place.fleet.start("worker", 2)  # a start clears away the works of the dead
    await place.judge()


async def test_an_api_that_dies_at_any_step_of_a_submit_makes_one_task(place: Place) -> None:
    for number, each in enumerate(place.doomed("api", SUBMIT)):
        await place.fleet.until_ready(each)
        await place.submit(each.url, f"op-{number}")
        assert await asyncio.to_thread(each.process.wait, 20) == -signal.SIGKILL, each.said()
        again = place.fleet.again(each.name)
        await place.fleet.until_ready(again)
        await place.submitted(again.url, f"op-{number}")
    await asyncio.gather(*(place.fleet.start(service, 1) for service in ("relay", "worker")))
    await place.judge()


async def test_a_relay_that_dies_at_any_step_announces_every_end(place: Place) -> None:
    """Workers die once an attempt has ended: its result is the relays' to announce, who die at that."""
    api = await place.fleet.start("api", 1)
    relays = place.doomed("relay", RELAY)
    workers = place.doomed("worker", ("attempts.end:after",) * 3)
    await place.submit_until_dead(api.url, [*relays, *workers])
    await asyncio.gather(*(place.fleet.start(service, 1) for service in ("worker", "relay")))
    await place.judge()
