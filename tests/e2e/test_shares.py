"""Share links at two replicas that have only the database and the store in common: what ends them, and where tokens stand."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_service import Served, client_of, free_port, serving

from codexsys_api.main import Api
from codexsys_core.clock import SystemClock
from codexsys_core.principal import hash_secret
from codexsys_wiring.platform import Platform, open_platform

GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a.git"}}}
ADDRESSES = ("", "?stream=setup", "/log", "/log?stream=setup", "/diff?file=1", "/artifacts/a.md")
LIVE = {"accept": "text/event-stream"}


class Ahead:
    """A clock that goes before the machine's."""

    def __init__(self) -> None:
        self._clock = SystemClock()
        self.by = timedelta(0)

    def now(self) -> datetime:
        return self._clock.now() + self.by

    def monotonic(self) -> float:
        return self._clock.monotonic()


@dataclass
class Replicas:
    """Two of them, and who makes links at the first; the second has a clock that can be moved."""

    served: Served
    clock: Ahead
    platforms: tuple[Platform, Platform]
    urls: tuple[str, str]

    async def task(self) -> str:
        """Make a task whose agent has said something."""
        made = await self.served.client.post("/api/v1/tasks", json=GIT)
        task_id = str(made.json()["id"])
        await self.say(task_id, 1, b"one\n")
        return task_id

    async def say(self, task_id: str, number: int, line: bytes) -> None:
        """Add a line to the agent's log, and let both hear of it."""
        await self.platforms[0].logs.append(task_id, "sbx_a", "agent", number, line)
        for each in self.platforms:
            await each.hints.tell(f"task:{task_id}")

    async def link(self, task_id: str, **body: Any) -> tuple[str, str]:
        """Return a new link's id and token."""
        made = await self.served.client.post(f"/api/v1/tasks/{task_id}/shares", json=body)
        assert made.status_code == 201, made.text
        return made.json()["id"], made.json()["url"].rpartition("/")[2]

    async def statuses(self, token: str) -> list[list[int]]:
        """Ask both for all that a link could show."""
        return [await _statuses(url, token) for url in self.urls]


async def _statuses(url: str, token: str) -> list[int]:
    async with client_of(url) as anyone:
        return [(await anyone.get(f"/s/{token}{each}")).status_code for each in ADDRESSES]


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[Replicas]:
    async with serving(tmp_path, share_rate_burst=1000) as served:
        settings = served.platform.settings.model_copy(update={"api_port": free_port()})
        clock = Ahead()
        async with open_platform(settings) as opened:
            platform = replace(opened, clock=clock)
            api = Api(platform)
            running = asyncio.create_task(api.run())
            try:
                await asyncio.wait_for(api.serving(), 10)
                yield Replicas(served, clock, (served.platform, platform), (served.url, api.url))
            finally:
                api.stop()
                await asyncio.wait_for(running, 15)


async def until(lines: AsyncIterator[str], wanted: str) -> bool:
    """Read a stream until these words come; say whether they did before it ended."""
    async with asyncio.timeout(30):
        async for line in lines:
            if wanted in line:
                return True
    return False


@contextlib.asynccontextmanager
async def following(replicas: Replicas, token: str) -> AsyncIterator[list[AsyncIterator[str]]]:
    """Follow the log that a link shows, at both, from its first line on."""
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for url in replicas.urls:
            anyone = await stack.enter_async_context(client_of(url))
            opening = anyone.stream("GET", f"/s/{token}/log", headers=LIVE)
            streams.append((await stack.enter_async_context(opening)).aiter_lines())
        for each in streams:
            assert await until(each, "one")
        yield streams


async def test_a_revoked_link_shows_nothing_more_at_any_replica(replicas: Replicas) -> None:
    task_id = await replicas.task()
    share_id, token = await replicas.link(task_id)
    shown = [200, 200, 200, 200, 404, 404]  # there is no change yet, and no such file
    assert await replicas.statuses(token) == [shown, shown]
    async with following(replicas, token) as streams:
        revoked = await replicas.served.client.delete(f"/api/v1/shares/{share_id}")
        assert revoked.status_code == 204
        assert await replicas.statuses(token) == [[404] * 6, [404] * 6]
        await replicas.say(task_id, 2, b"two\n")
        assert [await until(each, "two") for each in streams] == [False, False]
    log = await replicas.served.client.get(f"/api/v1/tasks/{task_id}/logs?stream=agent")
    assert log.text == "one\ntwo\n"


async def test_a_link_ends_when_its_time_is_over(replicas: Replicas) -> None:
    task_id = await replicas.task()
    for seconds in (0, 59, 7_776_001):
        body = {"expires_in": seconds}
        refused = await replicas.served.client.post(f"/api/v1/tasks/{task_id}/shares", json=body)
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/expires_in")
    _, token = await replicas.link(task_id, expires_in=60)
    working, over = await replicas.statuses(token), [404] * 6
    async with following(replicas, token) as (_, stream):
        replicas.clock.by = timedelta(seconds=30)
        assert await replicas.statuses(token) == working
        replicas.clock.by = timedelta(seconds=61)
        assert await replicas.statuses(token) == [working[0], over]
        await replicas.say(task_id, 2, b"two\n")
        assert not await until(stream, "two")


async def test_a_token_is_long_and_stands_nowhere(
    replicas: Replicas, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    task_id = await replicas.task()
    tokens = [(await replicas.link(task_id))[1] for _ in range(20)]
    key = {"Idempotency-Key": "once"}
    path = f"/api/v1/tasks/{task_id}/shares"
    promised = await replicas.served.client.post(path, json={}, headers=key)
    tokens.append(promised.json()["url"].rpartition("/")[2])
    assert len(set(tokens)) == 21
    assert {len(base64.urlsafe_b64decode(each + "=" * (-len(each) % 4))) for each in tokens} == {32}
    for token in tokens[-3:]:
        await replicas.statuses(token)
    listed = (await replicas.served.client.get(path)).text
    events = (await replicas.served.client.get(f"/api/v1/tasks/{task_id}/events?after=0")).text
    measured = (await replicas.served.client.get("/metrics")).text
    assert "/s/{token}/log" in measured
    said = capfd.readouterr()
    kept = await asyncio.to_thread(everything_below, tmp_path)
    assert hash_secret(tokens[0]).encode() in kept
    for token in tokens:
        for place in (listed, events, measured, said.out, said.err):
            assert token not in place
        assert token.encode() not in kept


def everything_below(folder: Path) -> bytes:
    """Return the bytes of all files: rows, their journal, objects."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
