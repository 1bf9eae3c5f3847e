"""Both Python clients against a running platform."""

import asyncio
import hashlib
import inspect
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import pytest_asyncio
from tests.support.api_service import free_port, zipped
from tests.support.clients import Either, opened
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.place import Place
from tests.support.shop import open_shop
from tests.support.users import User

from codexsys_client import ApiError, AsyncClient, Unreachable
from codexsys_core.event import EventType

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATCH = "diff --git a/b.txt b/b.txt\nnew file mode 100644\n--- /dev/null\n+++ b/b.txt\n@@ -0,0 +1 @@\n+two\n"
TASK: dict[str, Any] = {
    "prompt": "Do it",
    "engine": "command",
    "command": "true",
    "environment": {"variables": {"DUMMY_PATCH": PATCH, "DUMMY_AGENT_CHATTER": "30"}},
    "labels": {"team": "web"},
}
GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a/b.git"}}}


async def collected(answer: Any) -> list[Any]:
    """Return all that either client yields."""
    if inspect.isasyncgen(answer):
        return [each async for each in answer]
    return list(await answer)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Place, User]]:
    folder = tmp_path_factory.mktemp("clients") / "data"
    async with open_shop(folder, sandbox="dummy") as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def address(shop: tuple[Place, User]) -> tuple[str, str]:
    """Return the platform's URL and the user's key."""
    http = shop[1].client
    return str(http.base_url), http.headers["authorization"].removeprefix("Bearer ")


@pytest_asyncio.fixture(loop_scope="module")
async def client(shop: tuple[Place, User], kind: str) -> AsyncIterator[Either]:
    async with opened(kind, *address(shop)) as either:
        yield either


async def test_a_task_from_submit_to_revoked_share(client: Either, tmp_path: Path) -> None:
    file = tmp_path / "code.zip"
    file.write_bytes(zipped({"a.txt": "one\n"}))
    task = await client.submit(TASK, file=file, idempotency_key=tmp_path.name)
    again = await client.submit(TASK, file=file, idempotency_key=tmp_path.name)
    assert again["id"] == task["id"]
    task_id = task["id"]
    events = await collected(client.events(task_id))
    assert [each["id"] for each in events] == list(range(1, len(events) + 1))
    assert await client.events_now(task_id) == events
    assert await collected(client.events(task_id, after=3)) == events[3:]
    done = await client.task(task_id, wait_seconds=1)
    assert (done["status"], done["verdict"]) == ("succeeded", "unverified")
    assert [each["state"] for each in await client.attempts(task_id)] == ["ended"]

    log = await client.log(task_id)
    assert log.splitlines()[-1] == "line 30"
    chunks = await collected(client.follow_log(task_id))
    assert "".join(chunk.text for chunk in chunks) == log
    assert chunks[-1].next == len(log.encode())
    assert await client.log(task_id, after=chunks[-1].next) == ""

    files = {each["name"]: each for each in await client.artifacts(task_id)}
    patch = await client.artifact(task_id, "diff.patch")
    assert hashlib.sha256(patch).hexdigest() == files["diff.patch"]["sha256"]
    await client.download(task_id, "diff.patch", tmp_path / "diff.patch")
    assert (tmp_path / "diff.patch").read_bytes() == patch

    await client.workspace(task_id, tmp_path / "tree.zip")
    with zipfile.ZipFile(tmp_path / "tree.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "a.txt": b"one\n",
            "b.txt": b"two\n",
        }

    page = await client.tasks(status="succeeded", label="team=web", limit=1)
    assert [each["id"] for each in page["items"]] == [task_id]
    retried = await client.retry(task_id, limits={"calls": 7})
    assert retried["retry_of"] == task_id
    assert (await client.cancel(retried["id"]))["id"] == retried["id"]

    await shared_and_revoked(client, task_id)
    assert (await client.me())["limits"]["attempts"] == 2


async def shared_and_revoked(client: Either, task_id: str) -> None:
    promise = {"expires_in": 3600, "parts": ["status"], "idempotency_key": f"share {task_id}"}
    share = await client.share(task_id, **promise)
    assert await client.share(task_id, **promise) == share
    links = await client.shares(task_id)
    assert [(each["id"], each["url"]) for each in links["items"]] == [(share["id"], None)]
    async with httpx2.AsyncClient(trust_env=False) as friend:
        assert (await friend.get(share["url"])).status_code == 200
        await client.revoke_share(share["id"])
        assert (await friend.get(share["url"])).status_code == 404


async def test_keys_are_made_once_listed_and_ended(
    shop: tuple[Place, User], client: Either, tmp_path: Path
) -> None:
    key = await client.create_key("ci", scope="read", idempotency_key=tmp_path.name)
    assert await client.create_key("ci", scope="read", idempotency_key=tmp_path.name) == key
    page = await client.keys(limit=1)
    assert (page["items"][0]["id"], page["items"][0]["key"]) == (key["id"], None)
    assert len((await client.keys(limit=1, cursor=page["next_cursor"]))["items"]) == 1
    async with AsyncClient(address(shop)[0], key["key"]) as reader:
        assert (await reader.me())["key"]["scope"] == "read"
        await client.revoke_key(key["id"])
        with pytest.raises(ApiError):
            await reader.me()


async def test_what_was_used_is_told_by_day_and_label(client: Either) -> None:
    task = await client.submit(GIT | {"labels": {"team": "web"}})
    await client.cancel(task["id"])
    used = await client.usage(label="team")
    assert used["total"]["tasks"] == sum(each["tasks"] for each in used["values"]) >= 1
    no_days = await client.usage(first="2026-01-01", last="2026-01-02", label="team=web")
    assert [(day["day"], day["tasks"]) for day in no_days["days"]] == [
        ("2026-01-01", 0),
        ("2026-01-02", 0),
    ]


async def test_refusals_say_what_is_wrong(
    shop: tuple[Place, User], client: Either, tmp_path: Path
) -> None:
    with pytest.raises(ApiError) as refused:
        await client.submit(GIT | {"colour": "red"})
    error = refused.value
    assert (error.status, error.code) == (422, "invalid")
    assert error.errors[0]["pointer"] == "/colour"
    assert error.request_id
    with pytest.raises(ApiError) as unknown:
        await client.task("task_" + "0" * 26)
    assert (unknown.value.status, unknown.value.code) == (404, "task_not_found")
    with pytest.raises(ApiError):
        await client.workspace("task_" + "0" * 26, tmp_path / "none.zip")
    assert not (tmp_path / "none.zip").exists()
    for calls in (client.events, client.follow_log):
        with pytest.raises(ApiError):
            await collected(calls("task_" + "0" * 26))
    with pytest.raises(ApiError) as nowhere:
        await client.check(
            {"prompt": "x", "source": {"git": {"url": f"http://127.0.0.1:{free_port()}/a.git"}}}
        )
    assert nowhere.value.code == "connection_refused"


async def test_a_wrong_key_and_a_wrong_address(shop: tuple[Place, User], kind: str) -> None:
    url, _ = address(shop)
    async with opened(kind, url, "cdx_wrong") as stranger:
        with pytest.raises(ApiError) as refused:
            await stranger.me()
        assert refused.value.code == "key_unknown"
    for lost in (f"http://127.0.0.1:{free_port()}", "http://[", "no-scheme"):
        async with opened(kind, lost, "x") as nobody:
            with pytest.raises(Unreachable):
                await nobody.me()


async def test_a_stream_that_breaks_is_taken_up_where_it_was(
    shop: tuple[Place, User], kind: str
) -> None:
    (place, ada), (url, key) = shop, address(shop)
    answer = await ada.client.post("/api/v1/tasks", json=GIT | {"limits": {"attempts": 1}})
    task_id = answer.json()["id"]
    host = urlsplit(url)
    async with (
        FaultProxy(host.hostname or "", host.port or 0) as proxy,
        opened(kind, f"http://127.0.0.1:{proxy.port}", key) as client,
    ):
        following = asyncio.create_task(collected(client.events(task_id)))
        for round_ in range(3):
            await place.platform.events.append(
                task_id, EventType.AGENT_NOTE, {"text": str(round_)}, attempt=1
            )
            proxy.turn(Weather.CUT)
            proxy.turn(Weather.CLEAR)
        await ada.client.post(f"/api/v1/tasks/{task_id}/cancel")
        events = await asyncio.wait_for(following, 60)
    assert [each["id"] for each in events] == list(range(1, len(events) + 1))
    texts = [each["data"]["text"] for each in events if each["type"] == "agent.note"]
    assert texts == ["0", "1", "2"]


async def test_a_stream_that_stays_broken_is_given_up(shop: tuple[Place, User], kind: str) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    async with opened(kind, nowhere, "x", patience_seconds=0.5) as nobody:
        with pytest.raises(Unreachable):
            await asyncio.wait_for(collected(nobody.events("task_1")), 30)
