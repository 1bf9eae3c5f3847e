"""Workers that are restarted one after the other while an agent works: nothing is restarted but they."""

import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.distributed import Fleet, Running, eventually
from tests.support.users import User, user, zipped
from tests.support.witness import agrees, followed, log_is_whole, polled

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LINES = 50
RESTARTS = 6
SLOTS = 2
SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_LEASE_SECONDS": "60",  # longer than the test: nobody waits for one to run out
    "CODEXSYS_TAKEOVER_GRACE_SECONDS": "1",
    "CODEXSYS_RELAY_SECONDS": "0.5",
    "CODEXSYS_WORKER_SLOTS": str(SLOTS),
}
ZIP = zipped({"a.txt": "a\n"})
BODY = {"prompt": "x", "engine": "command", "command": "true", "checks": {"strategy": "skip"}}
PATCH = """diff --git a/made.txt b/made.txt
new file mode 100644
index 0000000..257cc56
--- /dev/null
+++ b/made.txt
@@ -0,0 +1 @@
+foo
"""
LONG = {
    "DUMMY_PATCH": PATCH,
    "DUMMY_AGENT_DELAY": "600",
    "DUMMY_AGENT_CHATTER": str(LINES),
}


@dataclass
class Host:
    """Workers that share a folder, and a user of the platform."""

    fleet: Fleet
    ada: User

    @property
    def folder(self) -> Path:
        return self.fleet.folder / "shared"

    async def worker(self, number: int) -> Running:
        return await self.fleet.start("worker", number, CODEXSYS_DATA_DIR=str(self.folder))

    async def submit(self, variables: dict[str, str]) -> str:
        return await self.ada.submit(BODY | {"environment": {"variables": variables}}, archive=ZIP)

    async def attempt(self, task_id: str) -> dict[str, Any]:
        (attempt,) = (await self.ada.get(f"/tasks/{task_id}/attempts"))["items"]
        return attempt  # type: ignore[no-any-return]

    async def owner(self, task_id: str, *, former: str | None = None) -> str:
        """Wait until the attempt has an owner, another one than before."""

        async def look() -> str | None:
            owner = (await self.attempt(task_id))["owner"]
            return None if owner == former else owner

        return await eventually(look, seconds=30, what=f"{task_id} has another owner than {former}")

    async def at_work(self, task_id: str) -> None:
        """Wait until the agent has said all that it says."""

        async def look() -> bool | None:
            return True if f"line {LINES}\n" in await self.ada.log(task_id, "agent") else None

        await eventually(look, seconds=30, what="the agent works")

    def let_them_end(self) -> None:
        """End the agents' waiting, as if their time were over."""
        for lock in self.folder.glob("sandboxes/*/agent-1.lock"):
            pid = lock.read_text().strip()
            (sleep,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            os.kill(int(sleep), signal.SIGKILL)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    async with Fleet(folder=tmp_path / "hosts", redis_number=9, settings=SETTINGS) as fleet:
        await fleet.start("relay", 1)
        api = await fleet.start("api", 1)
        async with user(fleet.servers, api.url, "ours") as ada:
            yield Host(fleet, ada)


async def test_a_long_task_lives_through_any_number_of_restarts(host: Host) -> None:
    holder = await host.worker(1)
    task_id = await host.submit(LONG)
    await host.at_work(task_id)
    owner = await host.owner(task_id)
    other = await host.worker(2)
    for _ in range(RESTARTS):
        await holder.stop()
        owner = await host.owner(task_id, former=owner)
        again = await host.worker(int(holder.name[-1]))
        holder, other = other, again
    host.let_them_end()
    task = await host.ada.finished(task_id, seconds=60)
    assert (task["status"], task["attempt"]) == ("succeeded", 1), task
    attempt = await host.attempt(task_id)
    assert attempt["takeovers"] == 0
    assert [each["role"] for each in attempt["sandboxes"]] == ["agent"]
    log = await log_is_whole(host.ada, task_id, "agent")
    assert log.splitlines() == [f"line {n}" for n in range(1, LINES + 1)]
    events = await polled(host.ada, task_id)
    assert [each["type"] for each in events].count("task.taken_over") == RESTARTS
    phases = [each["data"]["phase"] for each in events if each["type"] == "task.phase"]
    assert len(phases) == len(set(phases)), phases
    await agrees(host.ada, task_id, await followed(host.ada, f"/tasks/{task_id}/events"))


async def test_a_full_worker_carries_on_with_what_its_host_runs_and_claims_nothing_new(
    host: Host,
) -> None:
    first = await host.worker(1)
    theirs = [await host.submit(LONG) for _ in range(SLOTS)]
    for task_id in theirs:
        await host.at_work(task_id)
    await host.worker(2)
    own = [await host.submit(LONG) for _ in range(SLOTS)]
    for task_id in own:
        await host.at_work(task_id)
    full = await host.owner(own[0])
    former = await host.owner(theirs[0])
    await first.stop()
    assert {await host.owner(each, former=former) for each in theirs} == {full}
    waiting = await host.submit(LONG | {"DUMMY_AGENT_DELAY": "0"})
    assert (await host.ada.get(f"/tasks/{waiting}"))["status"] == "queued"
    host.let_them_end()
    ends = [await host.ada.finished(each, seconds=60) for each in [*theirs, *own]]
    assert {(end["status"], end["attempt"]) for end in ends} == {("succeeded", 1)}
    assert {(await host.attempt(each))["takeovers"] for each in [*theirs, *own]} == {0}
    last = await host.ada.finished(waiting, seconds=60)
    finished = sorted(end["finished_at"] for end in ends)
    assert last["started_at"] >= finished[-SLOTS]  # only then it had a free slot
