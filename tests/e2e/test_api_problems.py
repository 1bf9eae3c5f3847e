"""Problems of the API that need a state first: links, repeats, sources that are tasks, our own errors."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from tests.support.api_service import Served, serving

GIT: dict[str, Any] = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def submitted(served: Served) -> str:
    answer = await served.client.post("/api/v1/tasks", json=GIT)
    assert answer.status_code == 202
    return str(answer.json()["id"])


async def refused(
    served: Served, method: str, path: str, **request: Any
) -> tuple[int, str, dict[str, Any]]:
    """Return status, code and the whole of a problem."""
    answer = await served.client.request(method, path, **request)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["detail"].endswith((".", "…"))
    assert {"type", "title", "status", "instance", "request_id"} <= set(problem)
    return answer.status_code, problem["code"], problem


async def test_a_task_that_is_not_over_is_no_source(served: Served) -> None:
    body = {"prompt": "x", "source": {"task": await submitted(served)}}
    status, code, problem = await refused(served, "POST", "/api/v1/tasks", json=body)
    assert (status, code) == (422, "source_task_not_over")
    assert problem["errors"][0]["pointer"] == "/source/task"


async def test_an_artifact_that_is_not_there(served: Served) -> None:
    path = f"/api/v1/tasks/{await submitted(served)}/artifacts/diff.patch"
    assert (await refused(served, "GET", path))[:2] == (404, "artifact_not_found")


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_of_idempotency_that_is_none(served: Served, key: str) -> None:
    headers = {"idempotency-key": key}
    found = await refused(served, "POST", "/api/v1/tasks", json=GIT, headers=headers)
    assert found[:2] == (422, "idempotency_key")
    assert (await served.client.get("/api/v1/tasks")).json()["items"] == []


async def test_links_that_lead_nowhere(served: Served) -> None:
    objects, name = served.platform.objects, "codexsys-logs/logs/task_1/a1-f1/diff.patch"
    old = await objects.link(name, filename="a", content_type="text/plain", seconds=-1)
    gone = await objects.link(name, filename="a", content_type="text/plain")
    for url, code in (
        (f"{served.url}/objects/nonsense", "bad_link"),
        (old.url, "link_expired"),
        (gone.url, "object_not_found"),
        (f"{served.url}/s/nonsense", "share_not_found"),
    ):
        assert (await refused(served, "GET", url))[:2] == (404, code)


async def test_keys_and_shares_that_are_not_there(served: Served) -> None:
    nothing = "0" * 26
    for path in (f"keys/key_{nothing}", "keys/é", f"shares/shr_{nothing}", "shares/x"):
        assert (await refused(served, "DELETE", f"/api/v1/{path}"))[0] == 404


async def test_an_error_of_ours_says_nothing_of_its_cause(served: Served) -> None:
    task_id = await submitted(served)
    async with served.platform.database.write() as connection:
        await connection.execute(text('UPDATE tasks SET spec = \'{"secret": "hunter2"}\''))
    status, code, problem = await refused(served, "GET", f"/api/v1/tasks/{task_id}")
    assert (status, code) == (500, "internal")
    said = str(problem).lower()
    assert not [word for word in ("hunter2", "traceback", "pydantic", "validation") if word in said]
