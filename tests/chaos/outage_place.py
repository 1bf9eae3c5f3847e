"""A small platform on servers of its own that may be harmed, and one client of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
from tests.chaos.evidence import Where
from tests.chaos.history import Entry, History
from tests.chaos.outages import DISKS_MB
from tests.chaos.servers import OwnServers
from tests.support.distributed import Fleet, eventually
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.users import User, make_key, zipped
from tests.support.witness import Sse, followed

PATIENCE_SECONDS = 8.0
"""Who waits longer than that for an answer has been kept waiting, on however busy a machine."""
SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_WORKER_SLOTS": "12",
    "CODEXSYS_LEASE_SECONDS": "6",
    "CODEXSYS_RELAY_SECONDS": "0.5",
    "CODEXSYS_STORE_PATIENCE_SECONDS": "600",
}
SERVICES = ("gateway", "relay", "worker", "api")
FILES = {"README.md": "one\n"}
ARCHIVE = zipped(FILES)
PATCH = """diff --git a/made.txt b/made.txt
new file mode 100644
index 0000000..257cc56
--- /dev/null
+++ b/made.txt
@@ -0,0 +1 @@
+foo
"""


@dataclass
class Place:
    """What the tests use."""

    servers: OwnServers
    fleet: Fleet
    history: History
    where: Where
    client: httpx2.AsyncClient
    git_url: str
    following: "asyncio.Task[list[Sse]]" = field(init=False)
    """Listens to the steadfast task's events over one connection."""
    wiped_at: datetime | None = None
    """When Kafka was killed, to come back with nothing: what had ended by then need not be there."""
    patch: bytes = b""
    """What the task that is over has changed."""
    tasks: dict[str, str] = field(default_factory=dict)
    """Ids by the keys that they were asked for with, once they were taken."""

    @property
    def done(self) -> str:
        """Return a task that is over."""
        return self.tasks["done"]

    @property
    def steadfast(self) -> str:
        """Return a task whose agent works all the time."""
        return self.tasks["steadfast"]

    def url(self, service: str) -> str:
        """Return where a service listens."""
        return self.fleet.named(service)[0].url

    async def submit(
        self, key: str, *, zip_: bool = False, seconds: float = 0, prompt: str = "Do it"
    ) -> httpx2.Response:
        """Ask for a task, always the same one under a key."""
        body: dict[str, Any] = {
            "prompt": prompt,
            "engine": "command",
            "command": "true",
            "checks": {"strategy": "skip"},
            "labels": {"op": key},
            "limits": {"wall_seconds": 600},
            "environment": {
                "variables": {
                    "DUMMY_PATCH": PATCH,
                    "DUMMY_AGENT_CHATTER": "50",
                    "DUMMY_AGENT_DELAY": f"{seconds:g}",
                }
            },
        }
        options: dict[str, Any] = {"headers": {"Idempotency-Key": key}}
        if zip_:
            options["files"] = {
                "task": (None, json.dumps(body), "application/json"),
                "file": ("code.zip", ARCHIVE, "application/zip"),
            }
        else:
            options["json"] = body | {"source": {"git": {"url": self.git_url}}}
        answer = await self.client.post("/api/v1/tasks", **options)
        data: dict[str, Any] = {"retry_after": answer.headers.get("retry-after")}
        if answer.status_code == 202:
            data = {"id": answer.json()["id"], "status": "queued"}
            assert self.tasks.setdefault(key, data["id"]) == data["id"]
        self.history.add(Entry("submit", key, 0, 0, answer.status_code, data))
        return answer

    async def until(self, key: str, **wanted: str) -> None:
        """Wait until a task shows this."""
        task_id = self.tasks[key]

        async def shows() -> bool | None:
            task = (await self.client.get(f"/api/v1/tasks/{task_id}")).json()
            return True if wanted.items() <= task.items() else None

        await eventually(shows, seconds=40, what=f"{key} is {wanted}")

    async def running(self, key: str, *, seconds: float) -> str:
        """Ask for a task, and return its id once its agent is at work."""
        answer = await self.submit(key, zip_=True, seconds=seconds)
        assert answer.status_code == 202, answer.text
        await self.until(key, phase="analyzing")
        return self.tasks[key]

    async def until_refused(self, key: str, code: str) -> None:
        """Ask for large tasks until the database has no room for one."""
        for number in range(200):
            answer = await self.submit(f"{key}-{number}", prompt="x" * 60_000)
            if answer.status_code != 202:
                assert (answer.status_code, answer.json()["code"]) == (503, code)
                return
        raise AssertionError("a full disk has taken everything")

    async def problems(self) -> dict[str, tuple[int, set[str]]]:
        """Return the status of each service's /readyz, and the parts that it names."""
        running = self.fleet.running
        answers = await asyncio.gather(*(self.client.get(f"{each.url}/readyz") for each in running))
        return {
            each.name: (answer.status_code, set(answer.json()["problems"]))
            for each, answer in zip(running, answers, strict=True)
        }

    async def well(self) -> None:
        """Wait until every service says that it is ready, and that no part is away."""

        async def ready() -> bool | None:
            found = await self.problems()
            return True if all(each == (200, set()) for each in found.values()) else None

        await eventually(ready, seconds=40, what="all parts answer again")

    async def steady(self) -> None:
        """Hold when the steadfast task is still with its first owner, in its first sandbox."""
        answer = await self.client.get(f"/api/v1/tasks/{self.steadfast}/attempts")
        (attempt,) = answer.json()["items"]
        (sandbox,) = attempt["sandboxes"]
        assert (attempt["state"], attempt["takeovers"], sandbox["state"]) == ("running", 0, "live")
        assert not self.following.done()


@asynccontextmanager
async def opened(home: Path) -> AsyncIterator[Place]:
    """Start everything."""
    make_repository(home / "git" / "shop", FILES)
    async with AsyncExitStack() as stack:
        git = stack.enter_context(GitHttpServer(home / "git"))
        servers = await stack.enter_async_context(OwnServers(disks_mb=DISKS_MB))
        settings = dict(SETTINGS)
        fleet = Fleet(
            folder=home / "hosts", redis_number=1, settings=settings, where=servers.direct
        )
        settings |= servers.settings(fleet.servers.name, 1)
        await stack.enter_async_context(fleet)
        await asyncio.gather(*(fleet.start(service, 1) for service in SERVICES))
        history = History(home / "history.jsonl")
        stack.callback(history.close)
        key = await make_key(fleet.servers, "outages")
        client = httpx2.AsyncClient(
            base_url=fleet.named("api")[0].url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_SECONDS,
            trust_env=False,
        )
        await stack.enter_async_context(client)
        place = Place(servers, fleet, history, _where(servers, fleet), client, git.url("shop"))
        await asyncio.gather(place.submit("done"), place.running("steadfast", seconds=500))
        user = User(client, "outages")
        place.following = asyncio.create_task(followed(user, f"/tasks/{place.steadfast}/events"))
        stack.callback(place.following.cancel)
        await place.until("done", status="succeeded")
        path = f"/api/v1/tasks/{place.done}/artifacts/diff.patch"
        place.patch = (await client.get(path, follow_redirects=True)).content
        assert place.patch
        yield place


def _where(servers: OwnServers, fleet: Fleet) -> Where:
    direct = servers.direct
    return Where(
        mysql=fleet.servers.database,
        s3=direct["CODEXSYS_TEST_S3_URL"],
        s3_key=direct["CODEXSYS_TEST_S3_KEY"],
        s3_secret=direct["CODEXSYS_TEST_S3_SECRET"],
        suffix=fleet.servers.suffix,
        kafka=direct["CODEXSYS_TEST_KAFKA"],
        hosts=fleet.folder,
    )
