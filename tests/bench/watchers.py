"""How soon those who follow tasks hear of what happens, thousands of them at one replica."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx2
from pydantic import BaseModel
from redis.asyncio import Redis
from tests.bench.place import Place
from tests.bench.processes import Server, our_api
from tests.bench.rounds import percentile

from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.settings import Settings

WATCHERS, TASKS = 2000, 100
RATE, SECONDS = 20.0, 10.0
MOST_P99_MS = 100.0
_AT_ONCE = 50
_BODY = {"prompt": "Wait.", "source": {"git": {"url": "https://example.org/a/b.git"}}}
_LAST_SECONDS = 10.0


class Heard(BaseModel):
    """Milliseconds from the moment that something is to be said until each who follows it has read it."""

    what: str
    delays_ms: list[float]
    unheard: int
    redis_connections: int
    """Of the replica, that listen."""
    cpu_busy: float
    """Share of one core that the replica used meanwhile."""

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        found, p99 = [], percentile(self.delays_ms, 0.99)
        if self.unheard:
            found.append(f"{self.unheard} {self.what} were not heard by a watcher")
        if p99 > MOST_P99_MS:
            found.append(f"watchers hear {self.what} after {p99:.0f} ms (p99)")
        if self.redis_connections != 1:
            found.append(f"a replica listens on {self.redis_connections} connections to Redis")
        return found

    @property
    def row(self) -> str:
        """Return the figures as a row of a table."""
        p50, p99 = (percentile(self.delays_ms, share) for share in (0.5, 0.99))
        return (
            f"| {self.what} | {p50:.0f} | {p99:.0f} | {max(self.delays_ms):.0f} | {self.unheard} "
            f"| {self.redis_connections} | {self.cpu_busy:.0%} |"
        )


class Watchers(BaseModel):
    """Streams of events, and streams of logs."""

    events: Heard
    lines: Heard

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        return self.events.missed + self.lines.missed

    def text(self) -> str:
        """Return the figures as Markdown."""
        return f"""
## Watchers

{WATCHERS:,} streams of {TASKS} tasks at one replica, {RATE:g} events or lines a second for {SECONDS:g} s. From the request that makes an
event, or the moment that a gateway is given a line, until a watcher has it (at most {MOST_P99_MS:g} ms for 99 of 100).

| what | ms, p50 | ms, p99 | ms, max | not heard | connections to Redis that listen | of a core |
|---|---|---|---|---|---|---|
{self.events.row}
{self.lines.row}
"""


@dataclass
class _Task:
    """When its events were asked for, and when each of its watchers had them."""

    id: str
    lines: int = 0
    asked: list[float] = field(default_factory=list)
    heard: list[list[float]] = field(default_factory=list)


class _Kind(NamedTuple):
    """Something that is followed."""

    what: str
    path: str
    first: bytes
    """In the history of each: what a watcher has read before it counts as one."""
    each: bytes
    tell: Callable[[_Task], Awaitable[None]]
    begin: Callable[[_Task], Awaitable[None]]


async def measure_watchers(place: Place, key: str) -> Watchers:
    """Open all streams of a kind, then let things happen; then those of the other."""
    settings = Settings(
        data_dir=place.folder / "gateway",
        database_url=place.mysql_url,
        redis_url=place.redis_url,
        store_url=f"file://{place.folder / 'objects'}",
    )
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        open_platform(settings) as platform,
        our_api(place, pinned=False) as api,
        httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as client,
    ):
        url = f"http://127.0.0.1:{api.port}/api/v1/tasks"
        replica = _Replica(api, place, client, url, key)
        events = await replica.heard(_events(client, url))
        return Watchers(events=events, lines=await replica.heard(_lines(platform)))


def _events(client: httpx2.AsyncClient, url: str) -> _Kind:
    async def tell(task: _Task) -> None:
        told = await client.post(f"{url}/{task.id}/messages", json={"text": "Mind this."})
        told.raise_for_status()

    async def begin(_: _Task) -> None:
        """Tell nothing: every task has an event."""

    return _Kind("events", "events", b"event: task.queued", b"event: task.message", tell, begin)


def _lines(platform: Platform) -> _Kind:
    """Write as a gateway does for an agent."""

    async def add(task: _Task, text: bytes) -> None:
        task.lines += 1
        await platform.logs.append(task.id, "sbx_bench", "agent", task.lines, text)
        await platform.hints.tell(f"task:{task.id}")

    async def tell(task: _Task) -> None:
        await add(task, b"collected 48 items, of which 48 passed\n")

    async def begin(task: _Task) -> None:
        await add(task, b"begun\n")

    return _Kind("lines", "logs?stream=agent", b"begun", b"collected", tell, begin)


class _Replica(NamedTuple):
    """The measured replica, and who talks to it."""

    api: Server
    place: Place
    client: httpx2.AsyncClient
    url: str
    key: str

    async def heard(self, kind: _Kind) -> Heard:
        """Measure one kind of stream."""
        tasks = [await _submitted(self.client, self.url) for _ in range(TASKS)]
        for task in tasks:
            await kind.begin(task)
        opened = asyncio.Semaphore(_AT_ONCE)
        streams = await asyncio.gather(
            *(
                _open(opened, self.api.port, self.key, kind, task)
                for task in itertools.islice(itertools.cycle(tasks), WATCHERS)
            )
        )
        readers = [asyncio.create_task(_read(kind.each, *stream)) for stream in streams]
        cpu, begun = self.api.cpu_seconds(), time.perf_counter()
        await _happen(kind, tasks)
        busy = (self.api.cpu_seconds() - cpu) / (time.perf_counter() - begun)
        listening = await _listening(self.place, self.api.ports())
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        return _judged(kind, tasks, listening, busy)


def _judged(kind: _Kind, tasks: Sequence[_Task], listening: int, busy: float) -> Heard:
    delays = [
        (heard - asked) * 1000
        for task in tasks
        for watcher in task.heard
        for asked, heard in zip(task.asked, watcher, strict=False)
    ]
    wanted = sum(len(task.asked) * len(task.heard) for task in tasks)
    return Heard(
        what=kind.what,
        delays_ms=sorted(delays),
        unheard=wanted - len(delays),
        redis_connections=listening,
        cpu_busy=busy,
    )


async def _submitted(client: httpx2.AsyncClient, url: str) -> _Task:
    made = await client.post(url, json=_BODY)
    return _Task(str(made.raise_for_status().json()["id"]))


async def _open(
    opened: asyncio.Semaphore, port: int, key: str, kind: _Kind, task: _Task
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, list[float]]:
    """Follow a task from its beginning, which is read, on."""
    async with opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /api/v1/tasks/{task.id}/{kind.path} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {key}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        await reader.readuntil(kind.first)
    heard: list[float] = []
    task.heard.append(heard)
    return reader, writer, heard


async def _read(
    each: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[float]
) -> None:
    try:
        while True:
            await reader.readuntil(each)
            heard.append(time.perf_counter())
    finally:
        writer.close()


async def _happen(kind: _Kind, tasks: Sequence[_Task]) -> None:
    """Tell those who follow one task after the other something, at a steady rate; then wait until all have heard."""
    begun = time.perf_counter()
    for number in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        task = tasks[number % len(tasks)]
        task.asked.append(time.perf_counter())
        await kind.tell(task)
    over = time.perf_counter() + _LAST_SECONDS
    while time.perf_counter() < over and any(  # noqa: ASYNC110 - what is not heard is counted
        len(watcher) < len(task.asked) for task in tasks for watcher in task.heard
    ):
        await asyncio.sleep(0.05)


async def _listening(place: Place, ports: set[int]) -> int:
    """Count the connections to Redis from these ports that are subscribed to something: others have hubs, too."""
    async with Redis.from_url(place.redis_url) as redis:
        return sum(
            int(each["sub"]) > 0 and int(each["addr"].rpartition(":")[2]) in ports
            for each in await redis.client_list()
        )
