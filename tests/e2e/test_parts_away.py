"""Parts that do not answer: what the API says then, and that nothing is lost by it."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.support.api_service import Served, client_of, free_port, multipart, serving, zipped
from tests.support.distributed import Servers, eventually
from tests.support.tcp_proxy import TcpProxy

from codexsys_gateway.main import Gateway

pytestmark = pytest.mark.stack
GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}


@dataclass
class Parts:
    """An API on real servers, each behind a proxy that can be cut."""

    served: Served
    database: TcpProxy
    redis: TcpProxy
    store: TcpProxy

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
        urls = (servers.database, servers.redis, servers.s3.geturl())
        proxies = [
            await stack.enter_async_context(
                TcpProxy(urlsplit(url).hostname or "", urlsplit(url).port or 0)
            )
            for url in urls
        ]
        served = await stack.enter_async_context(
            serving(
                tmp_path,
                database_url=_at(servers.database, proxies[0].port),
                redis_url=_at(servers.redis, proxies[1].port),
                store_url=f"s3://127.0.0.1:{proxies[2].port}",
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
    await parts.database.cut()
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

    await parts.database.mend()

    async def back() -> bool | None:
        return True if (await parts.client.get("/api/v1/tasks")).is_success else None

    await eventually(back, seconds=20, what="the database is used again")
    listed = (await parts.client.get("/api/v1/tasks")).json()["items"]
    assert [each["id"] for each in listed] == [task["id"]]


async def test_a_gateway_without_its_database_says_later_and_never_no(parts: Parts) -> None:
    await parts.database.cut()
    gateway = Gateway(parts.served.platform)
    running = asyncio.create_task(gateway.run())
    url = f"http://127.0.0.1:{parts.served.platform.settings.gateway_port}"
    async with client_of(url, "a-token") as door:

        async def listens() -> bool | None:
            with contextlib.suppress(httpx2.TransportError):
                return (await door.get("/healthz")).is_success
            return None

        await eventually(listens, seconds=10, what="the gateway listens")
        for path in ("/v1/chat/completions", "/v1/events", "/v1/control"):
            method = "GET" if path == "/v1/control" else "POST"
            answer = await door.request(method, path, json={})
            assert (answer.status_code, answer.json()["error"]["code"]) == (
                503,
                "database_unavailable",
            )
            assert answer.headers["retry-after"]
    gateway.stop()
    await asyncio.wait_for(running, 15)


async def test_a_queue_that_is_away_keeps_no_task_out(parts: Parts) -> None:
    answer = await _submit(parts)
    assert answer.status_code == 202
    alive, ready, problems = await parts.health()
    assert (alive, ready, set(problems)) == (200, 200, {"queue"})
    waiting = await parts.served.platform.outbox.unpublished_tasks(older_than_seconds=0, limit=9)
    assert [record.task_id for record in waiting] == [answer.json()["id"]]


async def test_a_part_that_is_silent_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with serving(tmp_path, queue_url=f"kafka://127.0.0.1:{port}") as served:
            ready = await served.client.get("/readyz")
    assert (ready.status_code, set(ready.json()["problems"])) == (200, {"queue"})


async def test_redis_is_not_needed_to_submit_show_and_cancel(parts: Parts) -> None:
    await parts.redis.cut()
    task = (await _submit(parts)).json()
    path = f"/api/v1/tasks/{task['id']}"
    assert (await parts.client.get(f"{path}?wait=1")).json()["status"] == "queued"
    assert (await parts.client.post(f"{path}/cancel")).json()["status"] == "cancelled"
    async with parts.client.stream(
        "GET", f"{path}/events", headers={"accept": "text/event-stream"}
    ) as events:
        assert "event: done" in (await events.aread()).decode()
    _, _, problems = await parts.health()
    assert set(problems) == {"queue", "redis"}


async def test_a_zip_needs_the_store_and_leaves_nothing_without_it(parts: Parts) -> None:
    await parts.store.cut()
    files = multipart(json.dumps({"prompt": "x"}), zipped({"a": "1"}))
    answer = await parts.client.post("/api/v1/tasks", files=files)
    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert "retry-after" in answer.headers
    assert (await parts.client.get("/api/v1/tasks")).json()["items"] == []
    assert (await _submit(parts)).status_code == 202
    _, _, problems = await parts.health()
    assert set(problems) == {"queue", "store"}
    await parts.store.mend()
    assert (await parts.client.post("/api/v1/tasks", files=files)).status_code == 202
