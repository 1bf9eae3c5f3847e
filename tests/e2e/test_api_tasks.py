"""Tasks over the API: made, listed, shown, cancelled, retried."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.api_service import Served, multipart, serving, zipped

GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def test_a_git_task_is_taken(served: Served) -> None:
    answer = await served.client.post("/api/v1/tasks", json=GIT)
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert answer.headers["location"] == f"/api/v1/tasks/{task['id']}"
    assert answer.headers["retry-after"] == "2"
    assert (task["status"], task["progress"], task["queue_position"]) == ("queued", 0, 0)
    shown = await served.client.get(answer.headers["location"])
    assert shown.json() == task
    assert task["links"]["self"] == f"{served.url}/api/v1/tasks/{task['id']}"


async def test_a_zip_task_is_taken_and_its_zip_stored(served: Served) -> None:
    files = multipart(json.dumps({"prompt": "Fix it"}), zipped({"a.py": "1"}), "my.zip")
    answer = await served.client.post("/api/v1/tasks", files=files)
    assert answer.status_code == 202, answer.text
    task = answer.json()
    assert task["source"]["zip"]["filename"] == "my.zip"
    names = await served.platform.objects.names("codexsys-code/tmp_zips/")
    assert names == [f"codexsys-code/tmp_zips/{task['id']}/code.zip"]


async def test_events_are_there_as_json(served: Served) -> None:
    task = (await served.client.post("/api/v1/tasks", json=GIT)).json()
    found = (await served.client.get(f"/api/v1/tasks/{task['id']}/events?after=0")).json()
    assert [event["type"] for event in found["items"]] == ["task.queued"]
    assert found["next"] == 1
