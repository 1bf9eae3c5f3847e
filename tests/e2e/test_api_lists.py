"""Every list of the API comes in pages: a cursor, and a link to the next."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.api_service import Served, client_of, make_key, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}
LISTS = ("tasks", "keys", "environments", "tasks/{task}/shares")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("lists")) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def task_id(served: Served) -> str:
    made = await served.client.post("/api/v1/tasks", json=GIT)
    return str(made.json()["id"])


@pytest.mark.parametrize("of", LISTS)
async def test_a_list_goes_on_by_its_cursor_and_its_link(
    served: Served, task_id: str, of: str
) -> None:
    path = f"/api/v1/{of.format(task=task_id)}"
    made = []
    for number in range(3):
        named = {"name": f"n{number}"}
        body = {"tasks": GIT, "keys": named, "environments": named}.get(of, {})
        made.append((await served.client.post(path, json=body)).json()["id"])
    first = await served.client.get(path, params={"limit": 2})
    assert [each["id"] for each in first.json()["items"]] == made[:0:-1]
    cursor = {"limit": 2, "cursor": first.json()["next_cursor"]}
    by_cursor = (await served.client.get(path, params=cursor)).json()
    by_link = (await served.client.get(first.links["next"]["url"])).json()
    assert by_cursor == by_link
    assert by_link["items"][0]["id"] == made[0]
    last = await served.client.get(path, params={"limit": 100})
    assert last.json()["next_cursor"] is None
    assert "link" not in last.headers


@pytest.mark.parametrize("of", [*LISTS, "tasks/{task}/attempts"])
@pytest.mark.parametrize(
    ("asked", "pointer"),
    [({"limit": 0}, "/limit"), ({"limit": 101}, "/limit"), ({"cursor": "../x"}, "/cursor")],
)
async def test_a_page_that_cannot_be_is_refused(
    served: Served, task_id: str, of: str, asked: dict[str, str], pointer: str
) -> None:
    answer = await served.client.get(f"/api/v1/{of.format(task=task_id)}", params=asked)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_tasks_are_found_by_words_and_verdict(served: Served) -> None:
    path, url = "/api/v1/tasks", "https://example.org/Findling.git"
    mine = GIT | {"prompt": "Größe 100% _prüfen_", "source": {"git": {"url": url}}}
    made = (await served.client.post(path, json=mine)).json()["id"]

    async def found(**asked: str) -> list[str]:
        answer = await served.client.get(path, params=asked)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["items"]]

    for words in ("100% _PRÜF", "FINDLING", made, f"  {made[-9:]} "):
        assert await found(q=words) == [made], words
    assert await found(q="%") == [made]
    for words in ("100_", "Findling.svn", "\x00", "'); --"):
        assert await found(q=words) == [], words
    everything = await found(limit="100")
    assert await found(q="  ", limit="100") == await found(q="", limit="100") == everything
    assert await found(q="Findling", status="queued") == [made]
    assert await found(q="Findling", status="failed") == []
    assert await found(verdict="verified") == []
    _, key = await make_key(served.platform, "others")
    async with client_of(served.url, key) as stranger:
        assert (await stranger.get(path, params={"q": "Findling"})).json()["items"] == []
    first = await served.client.get(path, params={"q": "example", "limit": 1})
    assert "q=example" in first.links["next"]["url"]


@pytest.mark.parametrize(
    ("asked", "pointer"), [({"verdict": "good"}, "/verdict"), ({"q": "x" * 201}, "/q")]
)
async def test_a_filter_that_cannot_be_is_refused(
    served: Served, asked: dict[str, str], pointer: str
) -> None:
    answer = await served.client.get("/api/v1/tasks", params=asked)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_the_tries_at_a_task_are_a_list_like_others(served: Served, task_id: str) -> None:
    path = f"/api/v1/tasks/{task_id}/attempts"
    first = (await served.client.get(path, params={"limit": 1})).json()
    assert ([each["number"] for each in first["items"]], first["next_cursor"]) == ([1], None)
    after = {"cursor": first["items"][0]["id"].removeprefix("att_")}
    assert (await served.client.get(path, params=after)).json() == {
        "items": [],
        "next_cursor": None,
    }
