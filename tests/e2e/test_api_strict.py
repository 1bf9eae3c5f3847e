"""What a run of schemathesis found, each by name: the API keeps to the form that it describes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.api_service import Served, serving

GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


@pytest.mark.parametrize(
    "given", ["0.5", "1764322200", "2026-11-28", "2026-11-28T09:30:00", "2026-02-30T00:00:00Z", ""]
)
async def test_a_time_is_one_of_rfc_3339_with_its_offset(served: Served, given: str) -> None:
    answer = await served.client.get("/api/v1/tasks", params={"created_after": given})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/created_after"


async def test_times_are_compared_as_moments(served: Served) -> None:
    await served.client.post("/api/v1/tasks", json=GIT)
    for given, found in (
        ("2026-01-01T00:00:00Z", 1),
        ("2026-01-01t00:00:00.123456789z", 1),
        ("2999-01-01T00:00:00+02:00", 0),
        ("0001-01-01T00:00:00+00:01", None),
    ):
        answer = await served.client.get("/api/v1/tasks", params={"created_after": given})
        assert len(answer.json().get("items", [])) == (found or 0)
        assert answer.status_code == (422 if found is None else 200)


async def test_a_whole_number_may_be_written_with_a_point(served: Served) -> None:
    body = {**GIT, "limits": {"calls": 7.0, "cpus": 1.5}}
    limits = (await served.client.post("/api/v1/tasks", json=body)).json()["limits"]
    assert (limits["calls"], limits["cpus"]) == (7, 1.5)
    broken = await served.client.post("/api/v1/tasks", json={**GIT, "limits": {"calls": 7.5}})
    assert broken.json()["errors"][0]["pointer"] == "/limits/calls"


@pytest.mark.parametrize(
    ("path", "verbs"),
    [
        ("tasks", {"GET", "POST"}),
        ("tasks/task_1", {"GET", "DELETE"}),
        ("keys/key_1", {"GET", "PATCH", "DELETE"}),
        ("environments/env_1", {"GET", "PATCH", "DELETE"}),
    ],
)
async def test_a_wrong_method_is_told_all_that_there_are(
    served: Served, path: str, verbs: set[str]
) -> None:
    answer = await served.client.request("OPTIONS", f"/api/v1/{path}")
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) == verbs


@pytest.mark.parametrize("label", ["=", "=web", "gr\u00f6\u00dfe=x", "team=" + "x" * 64])
async def test_a_label_that_no_task_can_have_is_refused(served: Served, label: str) -> None:
    answer = await served.client.get("/api/v1/tasks", params={"label": label})
    assert answer.json()["errors"][0]["pointer"] == "/label"
