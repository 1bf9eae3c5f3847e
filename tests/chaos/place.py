"""Services that may be told where to die, a client that asks until it is answered, and a judge from outside."""

import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from tests.chaos import checker, evidence
from tests.chaos.checker import Broken
from tests.chaos.evidence import Evidence, Where
from tests.chaos.history import Entry, History
from tests.chaos.judge import judged, rest
from tests.support.distributed import Fleet, Running, eventually
from tests.support.users import make_key, zipped

ARCHIVE = zipped({"a.txt": "a\n"})
PATCH = """diff --git a/made.txt b/made.txt
new file mode 100644
index 0000000..257cc56
--- /dev/null
+++ b/made.txt
@@ -0,0 +1 @@
+foo
"""
CHATTER = {"DUMMY_AGENT_CHATTER": "50"}
SKIP = {"strategy": "skip"}


@dataclass
class Place:
    """A fleet, its client, and where to look for what it did."""

    fleet: Fleet
    history: History
    client: httpx2.AsyncClient
    where: Where
    asked: int = field(default=0, init=False)

    def doomed(self, service: str, points: tuple[str, ...]) -> list[Running]:
        """Start a service of each point, which dies there."""
        testing = {"CODEXSYS_TESTING": "1"}
        return [
            self.fleet.again(f"{service}-{number}", **testing, CODEXSYS_CRASH_AT=point)
            for number, point in enumerate(points, start=2)
        ]

    async def submit(
        self, url: str, op: str, *, steer: Mapping[str, str] = CHATTER, checks: Any = SKIP
    ) -> bool:
        """Ask for a task once; say whether it was taken."""
        body: dict[str, Any] = {
            "prompt": "Make it",
            "engine": "command",
            "command": "true",
            "checks": checks,
            "labels": {"op": op},
            "environment": {"variables": {"DUMMY_PATCH": PATCH, **steer}},
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

    async def submitted(
        self, url: str, op: str, *, steer: Mapping[str, str] = CHATTER, checks: Any = SKIP
    ) -> None:
        """Ask for a task until it is taken."""

        async def taken() -> bool | None:
            return True if await self.submit(url, op, steer=steer, checks=checks) else None

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

    async def at_work(self, number: int) -> None:
        """Wait until so many agents live."""

        async def living() -> bool | None:
            rows = (await evidence.rows(self.where))["sandboxes"]
            return True if sum(row["state"] == "live" for row in rows) >= number else None

        await eventually(living, seconds=60, what=f"{number} agents live", every=0.3)

    async def over(self, *, but: int = 0) -> None:
        """Wait until every task is terminal, but for so many."""

        async def ended() -> bool | None:
            tasks = (await evidence.rows(self.where))["tasks"]
            left = sum(row["status"] not in checker.TERMINAL for row in tasks)
            return True if left <= but else None

        await eventually(ended, seconds=60, what="all tasks are over", every=0.3)

    async def rest(self) -> Evidence:
        """Wait until nothing moves and nothing is left."""
        return await rest(self.where)

    async def judged(self) -> tuple[Evidence, list[Broken]]:
        """Return what there is at rest, and the promises that were not kept."""
        return await judged(self.where, self.history)

    async def judge(self) -> None:
        """Every promise was kept, and every task has succeeded."""
        found, broken = await self.judged()
        assert not broken, "\n".join(map(str, broken[:20]))
        others = [row for row in found.rows["tasks"] if row["status"] != "succeeded"]
        assert not others, [(row["id"], row["status"], row["end_reason"]) for row in others]


def seen(fleet: Fleet) -> Where:
    """Return where to look for what a fleet on the shared servers did."""
    servers = fleet.servers
    return Where(
        mysql=servers.database,
        s3=servers.s3.geturl(),
        s3_key=servers.s3_key,
        s3_secret=servers.s3_secret,
        suffix=servers.suffix,
        kafka=servers.kafka,
        hosts=fleet.folder,
    )


@asynccontextmanager
async def opened(
    folder: Path, *, redis_number: int, settings: dict[str, str]
) -> AsyncIterator[Place]:
    """Make a place on the shared servers; all its services are of one host."""
    hosts = folder / "hosts"
    settings = settings | {"CODEXSYS_DATA_DIR": str(hosts / "one")}
    fleet = Fleet(folder=hosts, redis_number=redis_number, settings=settings)
    history = History(folder / "history.jsonl")
    async with fleet:
        headers = {"Authorization": f"Bearer {await make_key(fleet.servers, 'ours')}"}
        async with httpx2.AsyncClient(headers=headers, timeout=20, trust_env=False) as client:
            yield Place(fleet, history, client, seen(fleet))
    history.close()
