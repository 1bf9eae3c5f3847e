"""Keys over the API: made with a scope, shown, changed, revoked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.api_service import Served, client_of, serving

GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def test_a_key_does_what_its_scope_allows_at_once(served: Served) -> None:
    made = (await served.client.post("/api/v1/keys", json={"name": "ci", "scope": "write"})).json()
    async with client_of(served.url, made["key"]) as ci:

        async def submitted() -> tuple[int, str]:
            answer = await ci.post("/api/v1/tasks", json=GIT)
            return answer.status_code, answer.json().get("code", "")

        assert (await ci.get("/api/v1/me")).json()["key"]["scope"] == "write"
        assert await submitted() == (202, "")
        refused = await ci.post("/api/v1/keys", json={"name": "mine", "scope": "read"})
        assert (refused.status_code, refused.json()["code"]) == (403, "scope_too_low")
        assert "scope admin" in refused.json()["detail"]
        path = f"/api/v1/keys/{made['id']}"
        assert (await served.client.patch(path, json={"scope": "read"})).json()["scope"] == "read"
        assert await submitted() == (403, "scope_too_low")
        assert len((await ci.get("/api/v1/tasks")).json()["items"]) == 1


async def test_keys_are_shown_renamed_and_listed_in_pages(served: Served) -> None:
    made = await served.client.post("/api/v1/keys", json={"name": "one"})
    path = made.headers["location"]
    assert (await served.client.get(path)).json() == {**made.json(), "key": None}
    assert (await served.client.patch(path, json={"name": "two"})).json()["name"] == "two"
    assert (await served.client.get(path[:-1] + "!")).json()["code"] == "key_not_found"
    first = await served.client.get("/api/v1/keys?limit=1")
    assert [key["name"] for key in first.json()["items"]] == ["two"]
    second = await served.client.get(first.links["next"]["url"])
    assert [key["name"] for key in second.json()["items"]] == ["ours's"]
    assert second.json()["next_cursor"] is None


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": "x", "scope": "root"}, "/scope"),
        ({"name": "x", "secret": "y"}, "/secret"),
    ],
)
async def test_a_key_that_cannot_be_made_names_the_field(
    served: Served, body: dict[str, str], pointer: str
) -> None:
    answer = await served.client.post("/api/v1/keys", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert len((await served.client.get("/api/v1/keys")).json()["items"]) == 1
