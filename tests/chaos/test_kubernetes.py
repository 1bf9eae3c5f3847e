"""Thirty tasks whose sandboxes are Jobs of a real cluster, while pods, a worker, services and the API server are lost."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.chaos import checker, evidence
from tests.chaos.at_work import clients_of
from tests.chaos.clients import Clients
from tests.chaos.evidence import Evidence, Row, Where
from tests.chaos.judge import judged
from tests.chaos.place import seen
from tests.chaos.run import SETTINGS
from tests.contract.servers import NODE, must_have
from tests.support import cluster
from tests.support.cluster import NAMESPACE, kubectl
from tests.support.distributed import Fleet, Running, eventually

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.stack,
    pytest.mark.chaos,
    pytest.mark.timeout(1800),
]
SEED, TASKS, RATE = 78, 30, 0.2
BEFORE = ("gateway-1", "gateway-2", "relay-1", "worker-1", "api-1", "api-2")
KINDS = "jobs,pods,secrets,configmaps,persistentvolumeclaims"
AWAY_SECONDS = 15.0
LONG = {"sleeps", "prints", "models"}
"""Shapes of tasks whose agents work long enough to be met at it."""
ENDS = {"finished", "command_failed", "out_of_memory", "deadline", "cancelled"}


@dataclass
class Place:
    """What runs, and where to look."""

    fleet: Fleet
    clients: Clients
    where: Where

    async def at_work(self) -> str:
        """Return the sandbox of an agent that has begun, and has more to do."""

        async def look() -> str | None:
            found = Evidence(await evidence.rows(self.where), {}, [])
            working = (row["id"] for row in found.rows["sandboxes"] if _works(found, row))
            return next(working, None)

        return await eventually(look, seconds=300, what="an agent is at work", every=0.3)

    async def taken_over(self) -> None:
        """Wait until somebody carries on with an agent that lives."""

        async def look() -> bool | None:
            found = Evidence(await evidence.rows(self.where), {}, [])
            return True if _adoptions(found) else None

        await eventually(look, seconds=60, what="an agent is adopted", every=0.3)

    def process(self, name: str) -> Running:
        return next(each for each in reversed(self.fleet.running) if each.name == name)


def _works(found: Evidence, row: Row) -> bool:
    """Say whether an agent is at work in a sandbox: the last that its task showed is that."""
    shape = found.label(row["task_id"], "shape")
    shown = [
        json.loads(each["data"])
        for each in found.of("events", row["task_id"])
        if each["type"] == "task.phase"
    ]
    working = bool(shown) and shown[-1]["phase"] == "analyzing"
    return row["role"] == "agent" and row["state"] == "live" and shape in LONG and working


def _adoptions(found: Evidence) -> list[Row]:
    tasks = found.rows["tasks"]
    return [each for row in tasks for each in checker.adoptions(found, row["id"])]


def things() -> list[str]:
    """Return all that the cluster has in the namespace of sandboxes."""
    return sorted(kubectl("-n", NAMESPACE, "get", KINDS, "-o", "name").split())


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Place]:
    """Separate processes on the shared servers, which know each other's sandboxes by the cluster alone."""
    more = {"CODEXSYS_LEASE_SECONDS": "8", "CODEXSYS_WORKER_SLOTS": "4"}
    fleet = Fleet(
        folder=folder / "hosts",
        redis_number=13,
        settings=SETTINGS | cluster.settings() | more,
        gateways_at=must_have(NODE),
    )
    history = folder / "history.jsonl"
    async with clients_of(fleet, BEFORE, history, seed=SEED, sandbox="kubernetes") as clients:
        there = things()
        where = replace(
            seen(fleet), beside=lambda: [each for each in things() if each not in there]
        )
        yield Place(fleet, clients, where)


async def harm(place: Place) -> None:
    """Do one after the other, each while an agent works."""
    await place.at_work()
    await place.fleet.start("worker", 2)
    place.process("worker-1").kill()
    await place.taken_over()
    await place.fleet.start("worker", 1)

    sandbox = await place.at_work()
    selector = f"codexsys.dev/sandbox={sandbox}"
    words = ("delete", "pod", "-l", selector, "--grace-period=1", "--wait=false")
    await asyncio.to_thread(kubectl, "-n", NAMESPACE, *words)

    await place.at_work()
    await asyncio.to_thread(cluster.stack, "kill", "kubernetes.apiserver")
    await asyncio.sleep(AWAY_SECONDS)
    await asyncio.to_thread(cluster.stack, "up", "--keep", "kubernetes")

    for name in ("gateway-1", "api-1"):
        await place.at_work()
        place.process(name).kill()
        place.fleet.again(name)
    await place.process("worker-1").stop()
    place.fleet.again("worker-1")


async def over(place: Place) -> None:
    """Wait until every client has seen the end of its wish."""

    async def look() -> bool | None:
        return None if place.clients.busy else True

    await eventually(look, seconds=900, what="every client has seen its end", every=0.5)


async def test_thirty_tasks_through_all_that_a_cluster_does(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        harming = asyncio.create_task(harm(place))
        await place.clients.run(tasks=TASKS, rate=RATE)
        await harming
        await over(place)
        found, broken = await judged(place.where, place.clients.history, seconds=180)
        assert not broken, "\n".join(map(str, broken[:20]))
    tasks = found.rows["tasks"]
    ends = Counter(row["end_reason"] for row in tasks)
    assert (len(tasks), set(ends)) == (TASKS, ENDS), ends
    assert {row["source_url"] is None for row in tasks} == {True, False}  # a zip, a repository
    assert _adoptions(found)
    lost = [row for row in found.rows["attempts"] if row["end_reason"] == "sandbox_lost"]
    assert lost, "the pod that was deleted cost nobody an attempt"
