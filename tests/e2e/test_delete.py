"""A finished task's owner removes it; a log outlives its rows."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_service import Served, multipart, serving, zipped

from codexsys_core.artifact import Artifact
from codexsys_core.attempt import Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_relay.retention import Retention, Terms

TEXT = b"first\nsecond\n"


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def submitted(served: Served) -> dict[str, Any]:
    files = multipart(json.dumps({"prompt": "Say nothing"}), zipped({"a.py": "1"}))
    found: dict[str, Any] = (await served.client.post("/api/v1/tasks", files=files)).json()
    return found


async def finished(served: Served, task_id: str) -> None:
    """See the task through by hand: a log, an artifact, an end."""
    platform = served.platform
    claim = await platform.attempts.claim(task_id, owner="own_a", lease_seconds=60)
    assert claim is not None
    hold: Hold = claim.hold
    await platform.logs.append(task_id, "sbx_a", "agent", 1, TEXT)
    await platform.logs.seal(hold, "agent")
    name = f"codexsys-logs/logs/{task_id}/{hold.writer}/agent.log"
    size, sha256 = await platform.objects.put(name, TEXT)
    ending = Ending(
        status=TaskStatus.SUCCEEDED,
        outcome=Outcome(reason=EndReason.FINISHED),
        artifacts=(Artifact(name="agent.log", object=name, size=size, sha256=sha256),),
    )
    assert await platform.attempts.end(hold, ending)


async def test_delete_removes_all_but_the_row(served: Served) -> None:
    task = await submitted(served)
    path = f"/api/v1/tasks/{task['id']}"
    early = await served.client.delete(path)
    assert (early.status_code, early.json()["code"]) == (409, "task_not_over")
    await finished(served, task["id"])
    retry = (await served.client.post(f"{path}/retry")).json()
    busy = await served.client.delete(path)
    assert (busy.status_code, busy.json()["code"]) == (409, "task_in_use")
    await served.client.post(f"/api/v1/tasks/{retry['id']}/cancel")
    for _ in range(2):
        assert (await served.client.delete(path)).status_code == 204
    shown = (await served.client.get(path)).json()
    assert (shown["status"], shown["prompt"]) == ("succeeded", "")
    assert shown["deleted_at"]
    assert (await served.client.get(f"{path}/artifacts")).json()["items"] == []
    assert (await served.client.get(f"{path}/logs?stream=agent")).text == ""
    for bucket in ("codexsys-code/", "codexsys-logs/"):
        names = await served.platform.objects.names(bucket)
        assert not [name for name in names if task["id"] in name]
    again = await served.client.post(f"{path}/retry")
    assert (again.status_code, again.json()["code"]) == (409, "task_deleted")
    body = {"prompt": "Go on", "source": {"task": task["id"]}}
    on = await served.client.post("/api/v1/tasks", json=body)
    assert (on.status_code, on.json()["code"]) == (422, "source_task_deleted")


async def test_a_log_is_read_from_its_file_once_its_rows_are_gone(served: Served) -> None:
    task = await submitted(served)
    await finished(served, task["id"])
    platform = served.platform
    retention = Retention(
        store=platform.retention,
        uploads=platform.uploads,
        objects=platform.objects,
        clock=platform.clock,
        terms=Terms(code_days=9, artifact_days=9, log_days=0, checkpoints=2),
    )
    async with asyncio.timeout(20):
        while await platform.logs.read(task["id"], "agent", 0):
            await retention.once()
    path = f"/api/v1/tasks/{task['id']}/logs?stream=agent"
    assert (await served.client.get(path)).content == TEXT
    assert (await served.client.get(f"{path}&after=6")).content == TEXT[6:]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": "6"}
    followed = (await served.client.get(path, headers=headers)).text
    assert '{"offset":6,"text":"second\\n"}' in followed
    assert f"id: {len(TEXT)}\nevent: done" in followed
