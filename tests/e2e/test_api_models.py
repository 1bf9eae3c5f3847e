"""Which model a task gets, and that no limit of money is taken that cannot be kept."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import Served, serving
from tests.support.models_file import FREE, models_file

from codexsys_core.attempt import Attempt
from codexsys_core.source import GitSource
from codexsys_core.task import Task, TaskSpec

GIT: dict[str, Any] = {"prompt": "Fix", "source": {"git": {"url": "https://example.org/a.git"}}}
PRICED = {"input_usd": 3.0, "output_usd": 15.0, "cached_usd": 0.3}
UPSTREAMS = [
    {"name": "near", "url": "http://127.0.0.1:1/v1", "models": {"large": PRICED, "small": FREE}},
    {"name": "far", "url": "http://127.0.0.1:2/v1", "models": {"wild": {}, "small": PRICED}},
]
RULES: list[dict[str, Any]] = [
    {"model": "small", "mode": "explain"},
    {"model": "wild", "labels": {"team": "web"}},
    {"model": "small", "most_characters": 20},
]
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("models")
    file = models_file(folder, UPSTREAMS, rules=RULES)
    async with serving(folder / "data", models_file=file) as api:
        yield api


async def made(served: Served, **more: Any) -> dict[str, Any]:
    answer = await served.client.post("/api/v1/tasks", json=GIT | more)
    assert answer.status_code == 202, answer.text
    task: dict[str, Any] = answer.json()
    return task


@pytest.mark.parametrize(
    ("more", "model"),
    [
        ({}, "small"),
        ({"prompt": "Fix it, " + "really " * 9}, "large"),
        ({"requirements": {"functional": ["It " + "shall " * 9]}}, "large"),
        ({"prompt": "Explain " + "it " * 99, "mode": "explain"}, "small"),
        ({"labels": {"team": "web", "x": "y"}}, "wild"),
        ({"labels": {"team": "web"}, "model": "large"}, "large"),
    ],
)
async def test_a_task_gets_the_model_of_the_first_rule_that_fits(
    served: Served, more: dict[str, Any], model: str
) -> None:
    assert (await made(served, **more))["model"] == model


@pytest.mark.parametrize("check", ["", "?check=true"])
async def test_a_model_that_is_not_there_is_refused_with_those_that_are(
    served: Served, check: str
) -> None:
    answer = await served.client.post(f"/api/v1/tasks{check}", json=GIT | {"model": "huge"})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "model_unknown")
    assert problem["errors"][0]["pointer"] == "/model"
    assert "large, small, wild" in problem["detail"]


async def test_a_limit_of_money_that_cannot_be_kept_is_refused_or_not_there(
    served: Served,
) -> None:
    named = await served.client.post(
        "/api/v1/tasks", json=GIT | {"model": "wild", "limits": {"cost_usd": 2}}
    )
    assert (named.status_code, named.json()["code"]) == (422, "price_unknown")
    assert named.json()["errors"][0]["pointer"] == "/limits/cost_usd"
    assert "large, small" in named.json()["detail"]
    wild = await made(served, model="wild", limits={"calls": 3})
    assert (wild["usage"]["limit_usd"], wild["limits"]["calls"]) == (None, 3)
    assert (await made(served, model="large"))["usage"]["limit_usd"] == 5.0


async def test_a_retry_promises_no_more_than_can_be_kept(served: Served) -> None:
    task = await made(served, model="wild")
    await served.client.post(f"/api/v1/tasks/{task['id']}/cancel")
    retry = f"/api/v1/tasks/{task['id']}/retry"
    again = await served.client.post(retry, json={"limits": {"cost_usd": 1}})
    assert (again.status_code, again.json()["code"]) == (422, "price_unknown")
    again = await served.client.post(retry, json={"limits": {"calls": 1}})
    assert (again.status_code, again.json()["usage"]["limit_usd"]) == (202, None)


async def test_a_retry_of_a_task_whose_model_is_gone_says_so(served: Served) -> None:
    platform, now = served.platform, served.platform.clock.now()
    task = Task(
        id=platform.ids.new("task"),
        tenant_id=served.tenant_id,
        created_by="key_x",
        spec=TaskSpec(prompt="x", source=GitSource(url="https://example.org/a.git"), model="gone"),
        created_at=now,
    )
    attempt = Attempt(id=platform.ids.new("att"), task_id=task.id, tenant_id=task.tenant_id)
    await platform.tasks.add(task, attempt)
    await served.client.post(f"/api/v1/tasks/{task.id}/cancel")
    answer = await served.client.post(f"/api/v1/tasks/{task.id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "model_gone")
