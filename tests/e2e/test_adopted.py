"""Workers that die while an agent works: another one of the same host carries on, nothing restarted."""

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import SETTINGS
from tests.support.distributed import Fleet, Running, eventually, required
from tests.support.users import User, user, zipped
from tests.support.witness import agrees, followed, log_is_whole, polled

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.engine import Database
from codexsys_core.sandbox import Sandbox, SandboxRole

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LEASE = 3.0
LINES = 24
COUNT = f"for n in $(seq 1 {LINES}); do echo line $n; sleep 0.4; done"
_LEASES = re.compile(r"^codexsys_leases (\S+)$", re.MULTILINE)
FILES = {"a.txt": "a\n", "test_a.py": "def test_a():\n    assert True\n"}
DOCKER = pytest.param("docker", marks=pytest.mark.docker)


@dataclass
class Hosts:
    """One host with workers that share its folder, and a user of the platform."""

    fleet: Fleet
    ada: User
    shared: Path

    async def worker(self, number: int, **settings: str) -> Running:
        return await self.fleet.start(
            "worker", number, CODEXSYS_DATA_DIR=str(self.shared), **settings
        )

    async def two_workers(self) -> None:
        """Start two at the same time: whichever claims, the other one is there to follow it."""
        await asyncio.gather(self.worker(1), self.worker(2))

    async def owner(self) -> Running:
        """Return the worker that holds an attempt, as its own metrics say."""
        for worker in self.fleet.named("worker"):
            text = (await self.ada.client.get(f"{worker.url}/metrics")).text
            if any(float(held) for held in _LEASES.findall(text)):
                return worker
        raise AssertionError("nobody holds an attempt")

    async def submit(self, **body: Any) -> str:
        body = {"prompt": "x", "engine": "command", "checks": {"strategy": "skip"}} | body
        return await self.ada.submit(body, archive=zipped(FILES))

    async def sandboxes(self, task_id: str) -> list[Sandbox]:
        async with Database(self.fleet.servers.database) as database:
            return await SqlSandboxes(database=database).of_task(task_id)

    async def attempt(self, task_id: str) -> dict[str, Any]:
        attempts: list[dict[str, Any]] = (await self.ada.get(f"/tasks/{task_id}/attempts"))["items"]
        assert len(attempts) == 1, attempts
        return attempts[0]

    async def said(self, task_id: str, stream: str, word: str) -> None:
        """Wait until a stream holds a word."""

        async def look() -> bool | None:
            return True if word in await self.ada.log(task_id, stream) else None

        await eventually(look, seconds=60, what=f"{stream} says {word!r}")

    async def live(self, task_id: str, role: SandboxRole) -> Sandbox:
        """Wait until a sandbox of this role lives."""

        async def look() -> Sandbox | None:
            rows = [row for row in await self.sandboxes(task_id) if row.role is role]
            return rows[-1] if rows and rows[-1].state.value == "live" else None

        return await eventually(look, seconds=60, what=f"a sandbox {role.value} lives")

    async def adopted(self, task_id: str, former: str) -> None:
        """Wait until another one owns the attempt."""

        async def look() -> bool | None:
            attempt = await self.attempt(task_id)
            return True if attempt["owner"] not in (None, former) else None

        await eventually(look, seconds=LEASE + 20, what=f"{task_id} has another owner")

    async def succeeded(
        self, task_id: str, *, agents: int = 1, takeovers: int = 1
    ) -> dict[str, Any]:
        """The task succeeds, in one attempt and one agent's sandbox, and tells of it consistently."""
        task = await self.ada.finished(task_id, seconds=120)
        said = [await self.ada.log(task_id, stream) for stream in ("setup", "agent", "verify")]
        assert (task["status"], task["attempt"]) == ("succeeded", 1), (task, said)
        attempt = await self.attempt(task_id)
        assert attempt["takeovers"] == takeovers
        rows = await self.sandboxes(task_id)
        assert len([row for row in rows if row.role is SandboxRole.AGENT]) == agents, rows
        await agrees(self.ada, task_id, await followed(self.ada, f"/tasks/{task_id}/events"))
        return task

    async def cleared(self, task_id: str) -> None:
        """Nothing is left of its sandboxes, in the rows and on disk."""

        async def look() -> bool | None:
            rows = await self.sandboxes(task_id)
            left = [*(self.shared / "sandboxes").glob("sbx_*")]
            return True if all(row.destroyed_at for row in rows) and not left else None

        await eventually(look, seconds=40, what="all is cleared away")


def counted(log: str, most: int = LINES) -> Sequence[str]:
    """Return a log's numbered lines: each of them once and in order."""
    lines = [line for line in log.splitlines() if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, most + 1)], log
    return lines


def running(*argv: str) -> int:
    """Return the process id of the one program with these arguments."""
    wanted = "\0".join([*argv, ""]).encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cmdline").read_bytes() == wanted:
                found.append(int(process.name))
    (pid,) = found
    return pid


def settings_of(sandbox: str, folder: Path) -> dict[str, str]:
    settings = SETTINGS | {
        "CODEXSYS_LEASE_SECONDS": str(LEASE),
        "CODEXSYS_SANDBOX": sandbox,
        "CODEXSYS_TAKEOVER_GRACE_SECONDS": "30",
    }
    if sandbox == "docker":
        settings |= {
            "CODEXSYS_DOCKER_HOST": required("CODEXSYS_TEST_DOCKER_HOST"),
            "CODEXSYS_SANDBOX_IMAGE": required("CODEXSYS_TEST_IMAGE"),
            "CODEXSYS_GATEWAY_SOCKETS": str(folder / "sockets"),
        }
    return settings


@pytest.fixture
def sandbox() -> str:
    """Tests that want another kind parametrize it."""
    return "local"


@pytest.fixture
async def hosts(tmp_path: Path, sandbox: str) -> AsyncIterator[Hosts]:
    settings = settings_of(sandbox, tmp_path)
    async with Fleet(folder=tmp_path / "hosts", redis_number=9, settings=settings) as fleet:
        api, *_ = await asyncio.gather(
            *(fleet.start(service, 1) for service in ("api", "gateway", "relay"))
        )
        async with user(fleet.servers, api.url, "ours") as ada:
            yield Hosts(fleet, ada, tmp_path / "hosts" / "shared")


def supervisor(hosts: Hosts, row: Sandbox) -> str:
    return (hosts.shared / "sandboxes" / row.id / "lock").read_text()


@pytest.mark.parametrize("sandbox", ["local", DOCKER])
async def test_the_agent_goes_on_in_its_sandbox_and_its_log_has_no_seam(
    hosts: Hosts, sandbox: str
) -> None:
    await hosts.two_workers()
    task_id = await hosts.submit(command=f"echo begun >> made.txt; {COUNT}; echo done >> made.txt")
    await hosts.said(task_id, "agent", "line 4\n")
    owner = (await hosts.attempt(task_id))["owner"]
    before = await hosts.live(task_id, SandboxRole.AGENT)
    keeper = supervisor(hosts, before) if sandbox == "local" else ""
    (await hosts.owner()).kill()
    await hosts.adopted(task_id, owner)
    after = await hosts.live(task_id, SandboxRole.AGENT)
    assert after == before
    assert not keeper or supervisor(hosts, after) == keeper
    task = await hosts.succeeded(task_id)
    assert task["diff"] == {"files": 1, "insertions": 2, "deletions": 0}
    counted(await log_is_whole(hosts.ada, task_id, "agent"))
    phases = [
        event["data"]["phase"]
        for event in await polled(hosts.ada, task_id)
        if event["type"] == "task.phase"
    ]
    assert phases == ["cloning", "setup", "analyzing", "testing", "committing"]
    await hosts.cleared(task_id)


@pytest.mark.parametrize("sandbox", ["local", DOCKER])
async def test_setup_goes_on_where_it_is(hosts: Hosts, sandbox: str) -> None:
    await hosts.two_workers()
    script = f"echo once >> ~/ran; {COUNT}; [ $(wc -l < ~/ran) = 1 ]"
    task_id = await hosts.submit(
        command="cat ~/ran > made.txt", environment={"setup": script, "network": {"setup": "none"}}
    )
    await hosts.said(task_id, "setup", "line 4\n")
    owner = (await hosts.attempt(task_id))["owner"]
    (await hosts.owner()).kill()
    await hosts.adopted(task_id, owner)
    task = await hosts.succeeded(task_id)
    assert task["diff"] == {"files": 1, "insertions": 1, "deletions": 0}
    log = await log_is_whole(hosts.ada, task_id, "setup")
    counted(log)
    assert log.count("== environment script") == 1
    await hosts.cleared(task_id)


@pytest.mark.parametrize("role", [SandboxRole.BASELINE, SandboxRole.VERIFY])
async def test_checks_are_run_again_and_the_agent_is_not(hosts: Hosts, role: SandboxRole) -> None:
    await hosts.two_workers()
    task_id = await hosts.submit(
        command=f"echo more >> a.txt; for n in $(seq 1 {LINES}); do echo line $n; done",
        checks={"command": "echo checking; sleep 3; true", "strategy": "full"},
    )
    await hosts.live(task_id, role)
    owner = (await hosts.attempt(task_id))["owner"]
    (await hosts.owner()).kill()
    await hosts.adopted(task_id, owner)
    await hosts.succeeded(task_id)
    counted(await log_is_whole(hosts.ada, task_id, "agent"))
    rows = [row.role for row in await hosts.sandboxes(task_id)]
    assert (rows.count(SandboxRole.BASELINE), rows.count(SandboxRole.VERIFY)) == (
        (2, 1) if role is SandboxRole.BASELINE else (1, 2)
    )
    await hosts.cleared(task_id)


async def test_what_the_agent_had_done_is_finished_by_another(hosts: Hosts) -> None:
    """The first worker dies when everything is stored, just before the task would be over."""
    doomed = await hosts.worker(1, CODEXSYS_TESTING="1", CODEXSYS_CRASH_AT="attempts.end:before")
    task_id = await hosts.submit(
        command=f"echo more >> a.txt; for n in $(seq 1 {LINES}); do echo line $n; done"
    )
    assert await asyncio.to_thread(doomed.process.wait, 60) == -signal.SIGKILL
    await hosts.worker(2)
    await hosts.succeeded(task_id)
    counted(await log_is_whole(hosts.ada, task_id, "agent"))
    await hosts.cleared(task_id)


async def test_a_worker_that_comes_back_carries_on_with_its_own(hosts: Hosts) -> None:
    first = await hosts.worker(1)
    task_id = await hosts.submit(command=f"{COUNT}; echo done >> made.txt")
    await hosts.said(task_id, "agent", "line 4\n")
    owner = (await hosts.attempt(task_id))["owner"]
    first.kill()
    await hosts.worker(1)
    await hosts.adopted(task_id, owner)
    await hosts.succeeded(task_id)
    counted(await log_is_whole(hosts.ada, task_id, "agent"))
    await hosts.cleared(task_id)


async def test_an_heir_that_dies_at_once_is_followed_by_another(hosts: Hosts) -> None:
    first = await hosts.worker(1)
    task_id = await hosts.submit(command=f"{COUNT}; {COUNT}; echo done >> made.txt")
    await hosts.said(task_id, "agent", "line 4\n")
    first.kill()
    doomed = await hosts.worker(2, CODEXSYS_TESTING="1", CODEXSYS_CRASH_AT="orphans.adopt:after")
    assert await asyncio.to_thread(doomed.process.wait, 60) == -signal.SIGKILL
    await hosts.worker(3)
    await hosts.succeeded(task_id, takeovers=2)
    log = await log_is_whole(hosts.ada, task_id, "agent")
    lines = [line for line in log.splitlines() if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, LINES + 1)] * 2
    await hosts.cleared(task_id)


async def test_a_frozen_worker_that_thaws_changes_nothing(hosts: Hosts) -> None:
    await hosts.two_workers()
    task_id = await hosts.submit(command=f"{COUNT}; {COUNT}; echo done >> made.txt")
    await hosts.said(task_id, "agent", "line 4\n")
    owner = (await hosts.attempt(task_id))["owner"]
    before = await hosts.live(task_id, SandboxRole.AGENT)
    first = await hosts.owner()
    first.process.send_signal(signal.SIGSTOP)
    with contextlib.ExitStack() as stack:
        stack.callback(first.process.send_signal, signal.SIGCONT)
        await hosts.adopted(task_id, owner)
        await hosts.said(task_id, "agent", f"line {LINES}\n")
    assert await hosts.live(task_id, SandboxRole.AGENT) == before
    await hosts.succeeded(task_id)
    log = await log_is_whole(hosts.ada, task_id, "agent")
    lines = [line for line in log.splitlines() if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, LINES + 1)] * 2
    await hosts.cleared(task_id)


async def test_an_orphan_is_cancelled_by_its_heir(hosts: Hosts) -> None:
    first = await hosts.worker(1)
    task_id = await hosts.submit(command=f"echo more >> a.txt; {COUNT}; {COUNT}")
    await hosts.said(task_id, "agent", "line 4\n")
    first.kill()
    assert (await hosts.ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    await hosts.worker(2)
    task = await hosts.ada.finished(task_id, seconds=60)
    assert task["status"] == "cancelled"
    await hosts.cleared(task_id)


async def test_what_its_owner_stopped_to_cancel_it_has_not_failed(hosts: Hosts) -> None:
    first = await hosts.worker(1)
    waits = ("sleep", f"{os.getpid()}.5")
    environment = {"setup": f"echo begun; exec {' '.join(waits)}", "network": {"setup": "none"}}
    task_id = await hosts.submit(command="true", environment=environment)
    await hosts.said(task_id, "setup", "begun\n")
    first.kill()
    assert (await hosts.ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    os.kill(running(*waits), signal.SIGTERM)  # as its owner did before it died
    await hosts.worker(2)
    task = await hosts.ada.finished(task_id, seconds=60)
    assert (task["status"], task["end_reason"]["code"]) == ("cancelled", "cancelled")
    await hosts.cleared(task_id)


async def test_a_sandbox_that_died_with_its_worker_is_replaced(hosts: Hosts) -> None:
    """A host's service manager may well end all of a worker's processes, supervisors included."""
    first = await hosts.worker(1)
    task_id = await hosts.submit(
        command=f"if [ -e made.txt ]; then exit; fi; echo made > made.txt; {COUNT}; {COUNT}"
    )
    await hosts.said(task_id, "agent", "line 4\n")
    row = await hosts.live(task_id, SandboxRole.AGENT)
    first.kill()
    os.kill(int(supervisor(hosts, row)), signal.SIGKILL)
    await hosts.worker(2)
    await hosts.succeeded(task_id, agents=2)
    await hosts.cleared(task_id)
