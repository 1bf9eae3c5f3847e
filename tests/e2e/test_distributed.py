"""Separate processes on the real servers: what every task must show, and sixty of them at once."""

import pytest
from tests.support.distributed import Fleet
from tests.support.users import user, zipped

pytestmark = [pytest.mark.stack, pytest.mark.asyncio(loop_scope="session")]


async def test_a_zip_is_changed_across_processes(fleet: Fleet) -> None:
    async with user(fleet.servers, fleet.named("api")[0].url, "first") as ada:
        body = {
            "prompt": "Say hello to everybody",
            "engine": "command",
            "command": "sed -i s/world/everybody/ hello.txt",
            "checks": {"strategy": "skip"},
        }
        task_id = await ada.submit(body, archive=zipped({"hello.txt": "hello world\n"}))
        task = await ada.finished(task_id, seconds=60)
        assert (task["status"], task["verdict"]) == ("succeeded", "unverified"), task
        assert task["diff"] == {"files": 1, "insertions": 1, "deletions": 1}
