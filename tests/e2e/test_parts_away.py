"""Parts that are cut off: what the API says then. Every part, away in every way: `tests/chaos/test_outages.py`."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import expect
from tests.support.api_service import Served, free_port, multipart, serving, zipped
from tests.support.browser import fresh_profile
from tests.support.distributed import Servers, eventually
from tests.support.fault_proxy import FaultProxy, Weather

pytestmark = pytest.mark.stack
GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}


@dataclass
class Parts:
    """An API on real servers, each behind a proxy that can be cut."""

    served: Served
    database: FaultProxy
    store: FaultProxy

    @property
    def client(self) -> httpx2.AsyncClient:
        return self.served.client

    async def health(self) -> tuple[int, int, dict[str, str]]:
        """Return the statuses of /healthz and /readyz, and the problems that the latter names."""
        alive, ready = [await self.client.get(path) for path in ("/healthz", "/readyz")]
        return alive.status_code, ready.status_code, ready.json()["problems"]


def _at(url: str, port: int) -> str:
    """Return a URL with the proxy in the server's place."""
    parts = urlsplit(url)
    login = f"{parts.username}:{parts.password}@" if parts.username else ""
    return parts._replace(netloc=f"{login}127.0.0.1:{port}").geturl()


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    servers = Servers(redis_number=6)
    await servers.make()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(servers.remove)
        urls = (servers.database, servers.s3.geturl())
        proxies = [
            await stack.enter_async_context(
                FaultProxy(urlsplit(url).hostname or "", urlsplit(url).port or 0)
            )
            for url in urls
        ]
        served = await stack.enter_async_context(
            serving(
                tmp_path,
                database_url=_at(servers.database, proxies[0].port),
                redis_url=servers.redis,
                store_url=f"s3://127.0.0.1:{proxies[1].port}",
                store_key=servers.s3_key,
                store_secret=servers.s3_secret,
                store_bucket_suffix=servers.suffix,
                gateway_port=free_port(),
                queue_url=f"kafka://127.0.0.1:{free_port()}",
            )
        )
        yield Parts(served, *proxies)


async def _submit(parts: Parts) -> httpx2.Response:
    return await parts.client.post("/api/v1/tasks", json=GIT)


async def test_no_database_is_503_with_a_code_and_passes(parts: Parts) -> None:
    task = (await _submit(parts)).json()
    parts.database.turn(Weather.CUT)
    calls: list[tuple[str, str, Any]] = [
        ("GET", "/api/v1/tasks", None),
        ("GET", f"/api/v1/tasks/{task['id']}", None),
        ("POST", "/api/v1/tasks", GIT),
        ("POST", f"/api/v1/tasks/{task['id']}/cancel", {}),
    ]
    for method, path, body in calls:
        answer = await parts.client.request(method, path, json=body)
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (503, "database_unavailable"), problem
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["detail"]
    alive, ready, problems = await parts.health()
    assert (alive, ready) == (200, 503)
    assert {"database", "queue"} == set(problems)

    parts.database.turn(Weather.CLEAR)

    async def back() -> bool | None:
        return True if (await parts.client.get("/api/v1/tasks")).is_success else None

    await eventually(back, seconds=20, what="the database is used again")
    listed = (await parts.client.get("/api/v1/tasks")).json()["items"]
    assert [each["id"] for each in listed] == [task["id"]]


async def test_a_zip_needs_the_store_and_leaves_nothing_without_it(parts: Parts) -> None:
    parts.store.turn(Weather.CUT)
    files = multipart(json.dumps({"prompt": "x"}), zipped({"a": "1"}))
    answer = await parts.client.post("/api/v1/tasks", files=files)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "retry-after" in answer.headers
    assert (await parts.client.get("/api/v1/tasks")).json()["items"] == []
    assert (await _submit(parts)).status_code == 202
    _, _, problems = await parts.health()
    assert set(problems) == {"queue", "store"}
    parts.store.turn(Weather.CLEAR)
    assert (await parts.client.post("/api/v1/tasks", files=files)).status_code == 202


@pytest.mark.browser
async def test_the_page_of_health_says_what_is_away_since_when_and_what_helps(
    parts: Parts,
) -> None:
    async with fresh_profile(parts.served.url) as person:
        page = person.page
        await person.open("/sign-in")
        await page.get_by_label("API key").fill(parts.served.key)
        assert await person.press("Sign in") == 200
        assert await person.open("/health") == 200
        overall = page.get_by_role("region", name="Overall")
        await expect(overall.get_by_role("heading")).to_have_text("Degraded: Queue")
        queue = page.get_by_role("region", name="Queue")
        began = await queue.locator("time").get_attribute("datetime")
        await expect(queue).to_contain_text("worked on as ever")
        await expect(queue).to_contain_text("CODEXSYS_QUEUE_URL")
        assert "127.0.0.1" not in await page.content()  # where the parts are is no tenant's to know
        parts.store.turn(Weather.CUT)
        await expect(overall.get_by_role("heading")).to_have_text("Degraded: Queue, Object store")
        await person.picture("health-degraded")
        parts.database.turn(Weather.CUT)
        await expect(overall.get_by_role("heading")).to_have_text(
            "Down: Database, Queue, Object store"
        )
        assert await queue.locator("time").get_attribute("datetime") == began
        await person.picture("health-down")
        assert await person.open("/tasks") == 503
        await page.get_by_role("link", name="What is away?").click()
        await expect(page.get_by_role("region", name="Database")).to_contain_text("Start it")
        parts.database.turn(Weather.CLEAR)
        parts.store.turn(Weather.CLEAR)
        await expect(overall.get_by_role("heading")).to_have_text("Degraded: Queue")
        person.forgive("503")
