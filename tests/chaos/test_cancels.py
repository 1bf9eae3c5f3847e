"""A cancel in each state that a task can be in: it ends as `cancelled`, once, and nothing is left of it.

`CODEXSYS_CHAOS_TIMES` says how many tasks there are in each state (2 unless told otherwise).
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from tests.chaos import checker, evidence
from tests.chaos.evidence import Row, Where
from tests.chaos.history import Entry, History
from tests.chaos.judge import judged
from tests.chaos.place import ARCHIVE, PATCH, seen
from tests.support.distributed import Fleet, eventually
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.users import User, user

pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(600)]
TIMES = int(os.environ.get("CODEXSYS_CHAOS_TIMES", "2"))
SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_RELAY_SECONDS": "0.3",
    "CODEXSYS_WORKER_SLOTS": str(8 * TIMES),
    "CODEXSYS_RETRY_SECONDS": "120",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
}
FILES = {"a.txt": "a\n"}
QUESTION = json.dumps([{"text": "Red or blue?"}])


@dataclass(frozen=True)
class State:
    """How a task comes to stay in a state, and how one sees that it is there."""

    steer: dict[str, str] = field(default_factory=dict)
    """Of the dummy sandbox."""
    phase: str = ""
    """The phase of a sandbox that runs then."""
    shown: str = ""
    """The phase of the task that is shown then."""
    status: str = "running"
    attempt: int = 1
    git: bool = False


SLOW = "600"
STATES = {
    "between attempts": State({"DUMMY_AGENT_END": "sandbox_lost"}, status="queued", attempt=2),
    "cloning": State(shown="cloning", git=True),
    "setup": State({"DUMMY_ENVIRONMENT_DELAY": SLOW}, "environment"),
    "baseline": State({"DUMMY_CHECKS_DELAY": SLOW}, "checks"),
    "agent": State({"DUMMY_AGENT_DELAY": SLOW}, "agent-1"),
    "collecting": State({"DUMMY_COLLECT_DELAY": SLOW}, "collect-"),
    # The checks before the change take as long; then it is seen in the task's own phase.
    "verifying": State({"DUMMY_CHECKS_DELAY": str(4 + TIMES)}, shown="testing"),
    "suspended": State({"DUMMY_AGENT_ASK": QUESTION}, status="suspended"),
}


@dataclass
class Place:
    """A fleet, its only user, and a Git server that never answers."""

    fleet: Fleet
    ada: User
    history: History
    silent: str
    where: Where

    async def submit(self, op: str, state: State) -> str:
        body: dict[str, Any] = {
            "prompt": "Make it",
            "engine": "command",
            "command": "true",
            "checks": {"command": "true"},
            "labels": {"op": op},
            "environment": {"setup": "true", "variables": {"DUMMY_PATCH": PATCH} | state.steer},
            "limits": {"wall_seconds": 900, "setup_seconds": 900, "attempts": 3},
        }
        archive: bytes | None = ARCHIVE
        if state.git:
            body["source"], archive = {"git": {"url": self.silent}}, None
        task_id = await self.ada.submit(body, archive=archive)
        data = {"id": task_id, "status": "queued"}
        self.history.add(Entry("submit", op, 0, 0, 202, data))
        return task_id

    async def cancel_each(self, waiting: dict[str, State]) -> None:
        """Cancel each task once it is in its state, twice at once."""
        left = dict(waiting)

        async def look() -> bool | None:
            rows = await evidence.rows(self.where)
            there = [
                row["id"]
                for row in rows["tasks"]
                if row["id"] in left and self._is_in(left[row["id"]], row, rows["sandboxes"])
            ]
            for task_id in there:
                del left[task_id]
            await asyncio.gather(*(self.cancel(task_id) for task_id in there * 2))
            return None if left else True

        await eventually(look, seconds=60 + 6 * TIMES, what=f"each is there, not {left}")

    def _is_in(self, state: State, task: Row, sandboxes: list[Row]) -> bool:
        assert task["status"] not in checker.TERMINAL, (state, task)
        if (task["status"], task["attempt"]) != (state.status, state.attempt):
            return False
        if state.shown and task["phase"] != state.shown:
            return False
        root = self.fleet.folder / "worker-1" / "sandboxes"
        mine = [root / row["id"] for row in sandboxes if row["task_id"] == task["id"]]
        return not state.phase or any(list(each.glob(f"{state.phase}*.lock")) for each in mine)

    async def cancel(self, task_id: str) -> None:
        answer = await self.ada.client.post(f"/api/v1/tasks/{task_id}/cancel")
        assert answer.status_code in (200, 202), answer.text


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    make_repository(tmp_path / "git" / "shop", FILES)
    history = History(tmp_path / "history.jsonl")
    fleet = Fleet(folder=tmp_path / "hosts", redis_number=5, settings=SETTINGS)
    with GitHttpServer(tmp_path / "git") as server:
        to = urlsplit(server.url("shop"))
        async with FaultProxy(to.hostname or "", to.port or 0) as proxy, fleet:
            proxy.turn(Weather.BLACK_HOLE)
            silent = to._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
            api, _ = await asyncio.gather(*(fleet.start(name, 1) for name in ("api", "relay")))
            async with user(fleet.servers, api.url, "ours") as ada:
                yield Place(fleet, ada, history, silent, seen(fleet))
    history.close()


async def test_in_each_state(place: Place) -> None:
    unclaimed = [await place.submit(f"queued-{n}", State(status="queued")) for n in range(TIMES)]
    for task_id in unclaimed:
        await place.cancel(task_id)
    await place.fleet.start("worker", 1)
    tasks = {
        await place.submit(f"{name}-{number}", state): state
        for number in range(TIMES)
        for name, state in STATES.items()
    }
    await place.cancel_each(tasks)
    for task_id in [*unclaimed, *tasks]:
        task = await place.ada.finished(task_id, seconds=60)
        assert (task["status"], task["end_reason"]["code"]) == ("cancelled", "cancelled")
        await place.cancel(task_id)
    found, broken = await judged(place.where, place.history)
    assert not broken, "\n".join(map(str, broken[:20]))
    assert {row["status"] for row in found.rows["tasks"]} == {"cancelled"}
