"""`codexsys up`, killed in the middle of a task and started again: it carries on with its own sandbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from tests.support.api_service import free_port
from tests.support.distributed import eventually
from tests.support.up_process import Up, start_up, stop_up
from tests.support.users import User, zipped
from tests.support.witness import log_is_whole

pytestmark = pytest.mark.timeout(240)

LINES = 20
COUNT = f"for n in $(seq 1 {LINES}); do echo line $n; sleep 0.4; done"


@asynccontextmanager
async def user_of(up: Up) -> AsyncIterator[User]:
    headers = {"Authorization": f"Bearer {up.key}"}
    async with httpx2.AsyncClient(
        base_url=up.url, headers=headers, timeout=30, trust_env=False
    ) as client:
        yield User(client, "own")


async def test_a_task_goes_on_in_its_sandbox_over_a_kill(tmp_path: Path) -> None:
    settings = {
        "CODEXSYS_SANDBOX": "local",
        "CODEXSYS_LEASE_SECONDS": "3",
        "CODEXSYS_GATEWAY_PORT": str(free_port()),  # doors look for it where it was
    }
    process, up = await start_up(tmp_path / "up", settings)
    async with user_of(up) as ada:
        task_id = await ada.submit(
            {
                "prompt": "x",
                "engine": "command",
                "command": f"echo begun >> made.txt; {COUNT}",
                "checks": {"strategy": "skip"},
            },
            archive=zipped({"a.txt": "a\n"}),
        )

        async def at_work() -> bool | None:
            return True if "line 4\n" in await ada.log(task_id, "agent") else None

        await eventually(at_work, seconds=60, what="the agent works")
    process.kill()
    await process.communicate()
    process, up = await start_up(tmp_path / "up", settings)
    try:
        async with user_of(up) as ada:
            task = await ada.finished(task_id, seconds=90)
            log = await log_is_whole(ada, task_id, "agent")
            (attempt,) = (await ada.get(f"/tasks/{task_id}/attempts"))["items"]
    finally:
        await stop_up(process)
    assert task["status"] == "succeeded", log
    assert task["diff"] == {"files": 1, "insertions": 1, "deletions": 0}
    assert (attempt["number"], attempt["takeovers"]) == (1, 1)
    lines = [line for line in log.splitlines() if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, LINES + 1)]
    assert not list((tmp_path / "up" / "data" / "sandboxes").glob("sbx_*"))
