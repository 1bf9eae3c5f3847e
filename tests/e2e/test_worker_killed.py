"""kill -9 of one of two workers in the middle of a task."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.conftest import SETTINGS
from tests.support.distributed import Fleet, Running, eventually
from tests.support.users import User, user, zipped
from tests.support.witness import agree, agrees, announced, followed

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.engine import Database

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

LEASE = 6.0
LONG = "for n in $(seq 1 15); do echo $n; sleep 1; done; echo done > made.txt"


async def _owned(
    user: User, task_id: str, *, not_by: str | None = None, seconds: float
) -> dict[str, Any]:
    """Wait until somebody (else) owns the task's attempt."""

    async def look() -> dict[str, Any] | None:
        attempt: dict[str, Any] = (await user.get(f"/tasks/{task_id}/attempts"))["items"][-1]
        return attempt if attempt["owner"] not in (None, not_by) else None

    return await eventually(look, seconds=seconds, what=f"{task_id} is owned")


async def _is_at_work(user: User, task_id: str) -> None:
    """Wait until the script is in the middle of its work."""

    async def look() -> bool | None:
        return True if "3\n" in await user.log(task_id, "agent") else None

    await eventually(look, seconds=60, what="the script runs")


def _works(worker: Running) -> list[Path]:
    """Return the folders of a worker's works."""
    return list((worker.data / "work").glob("*/work-*"))


async def _nothing_left(fleet: Fleet, worker: Running, task_id: str) -> None:
    """Wait until what the dead left is cleared away, in the rows and on disk."""
    async with Database(fleet.servers.database) as database:
        rows = SqlSandboxes(database=database)

        async def look() -> bool | None:
            left = [*_works(worker), *(worker.data / "sandboxes").glob("sbx_*")]
            undone = [row for row in await rows.of_task(task_id) if row.destroyed_at is None]
            return True if not left and not undone else None

        await eventually(look, seconds=40, what="all is cleared away")


async def test_another_worker_carries_on_and_the_task_ends_once(tmp_path: Path) -> None:
    # Their folders are apart: neither reaches the other's sandboxes, so the relay takes over.
    settings = SETTINGS | {
        "CODEXSYS_LEASE_SECONDS": str(LEASE),
        "CODEXSYS_TAKEOVER_GRACE_SECONDS": "1",
        "CODEXSYS_WORKER_SLOTS": "1",
    }
    async with Fleet(folder=tmp_path / "hosts", redis_number=8, settings=settings) as fleet:
        api, first, _, _ = await asyncio.gather(
            *(fleet.start(service, 1) for service in ("api", "worker", "gateway", "relay"))
        )
        async with user(fleet.servers, api.url, "ours") as ada:
            task_id = await ada.submit(
                {
                    "prompt": "Take your time",
                    "engine": "command",
                    "command": LONG,
                    "checks": {"strategy": "skip"},
                },
                archive=zipped({"a.txt": "a\n"}),
            )
            owner = (await _owned(ada, task_id, seconds=30))["owner"]
            await _is_at_work(ada, task_id)
            await fleet.start("worker", 2)
            first.kill()
            assert _works(first)
            again = await _owned(ada, task_id, not_by=owner, seconds=LEASE + 5)
            assert (again["number"], again["takeovers"]) == (1, 1)
            task = await ada.finished(task_id, seconds=90)
            assert (task["status"], task["attempt"]) == ("succeeded", 1), task
            assert task["diff"] == {"files": 1, "insertions": 1, "deletions": 0}
            await agrees(ada, task_id, await followed(ada, f"/tasks/{task_id}/events"))
            seen = await announced(fleet.servers, {task_id}, seconds=40)
            agree(seen[task_id], task, await ada.artifacts(task_id))
            await fleet.start("worker", 1)
            await _nothing_left(fleet, first, task_id)
