"""How soon those who follow tasks hear of what happens, thousands of them at one replica."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx2
from pydantic import BaseModel
from redis.asyncio import Redis
from tests.bench.place import Place
from tests.bench.processes import our_api
from tests.bench.rounds import percentile

WATCHERS, TASKS = 2000, 100
RATE, SECONDS = 20.0, 10.0
MOST_P99_MS = 100.0
_AT_ONCE = 50
_BODY = {"prompt": "Wait.", "source": {"git": {"url": "https://example.org/a/b.git"}}}
_LAST_SECONDS = 10.0


class Watchers(BaseModel):
    """Milliseconds from a request that makes an event until each watcher of its task has read it."""

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
            found.append(f"{self.unheard} events were not heard by a watcher")
        if p99 > MOST_P99_MS:
            found.append(f"watchers hear after {p99:.0f} ms (p99)")
        if self.redis_connections != 1:
            found.append(f"a replica listens on {self.redis_connections} connections to Redis")
        return found

    def text(self) -> str:
        """Return the figures as Markdown."""
        p50, p99 = (percentile(self.delays_ms, share) for share in (0.5, 0.99))
        return f"""
## Watchers

{WATCHERS:,} streams of events of {TASKS} tasks at one replica, {RATE:g} events a second for {SECONDS:g} s. From the request that makes
an event until a watcher has it: {p50:.0f} ms p50, {p99:.0f} ms p99 (at most {MOST_P99_MS:g}), {max(self.delays_ms):.0f} ms at most; {self.unheard} not heard.
The replica listens on {self.redis_connections} connection to Redis and used {self.cpu_busy:.0%} of a core.
"""


@dataclass
class _Task:
    """When its events were asked for, and when each of its watchers had them."""

    id: str
    asked: list[float] = field(default_factory=list)
    heard: list[list[float]] = field(default_factory=list)


async def measure_watchers(place: Place, key: str) -> Watchers:
    """Open all streams, then let things happen."""
    before = await _listening(place)
    headers = {"Authorization": f"Bearer {key}"}
    async with our_api(place, pinned=False) as api:
        url = f"http://127.0.0.1:{api.port}/api/v1/tasks"
        async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
            tasks = [await _submitted(client, url) for _ in range(TASKS)]
            opened = asyncio.Semaphore(_AT_ONCE)
            streams = await asyncio.gather(
                *(
                    _open(opened, api.port, key, task)
                    for task in itertools.islice(itertools.cycle(tasks), WATCHERS)
                )
            )
            readers = [asyncio.create_task(_read(*stream)) for stream in streams]
            cpu, begun = api.cpu_seconds(), time.perf_counter()
            await _happen(client, url, tasks)
            busy = (api.cpu_seconds() - cpu) / (time.perf_counter() - begun)
            listening = await _listening(place) - before
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)
    return _judged(tasks, listening, busy)


def _judged(tasks: Sequence[_Task], listening: int, busy: float) -> Watchers:
    delays = [
        (heard - asked) * 1000
        for task in tasks
        for watcher in task.heard
        for asked, heard in zip(task.asked, watcher, strict=False)
    ]
    wanted = sum(len(task.asked) * len(task.heard) for task in tasks)
    return Watchers(
        delays_ms=sorted(delays),
        unheard=wanted - len(delays),
        redis_connections=listening,
        cpu_busy=busy,
    )


async def _submitted(client: httpx2.AsyncClient, url: str) -> _Task:
    made = await client.post(url, json=_BODY)
    return _Task(str(made.raise_for_status().json()["id"]))


async def _open(
    opened: asyncio.Semaphore, port: int, key: str, task: _Task
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, list[float]]:
    """Follow a task from its first event, which is read, on."""
    async with opened:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET /api/v1/tasks/{task.id}/events HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {key}\r\nAccept: text/event-stream\r\n\r\n".encode()
        )
        await reader.readuntil(b"event: task.queued")
    heard: list[float] = []
    task.heard.append(heard)
    return reader, writer, heard


async def _read(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: list[float]
) -> None:
    try:
        while True:
            await reader.readuntil(b"event: task.message")
            heard.append(time.perf_counter())
    finally:
        writer.close()


async def _happen(client: httpx2.AsyncClient, url: str, tasks: Sequence[_Task]) -> None:
    """Tell one task after the other something, at a steady rate; then wait until all have heard."""
    begun = time.perf_counter()
    for number in range(int(RATE * SECONDS)):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        task = tasks[number % len(tasks)]
        task.asked.append(time.perf_counter())
        told = await client.post(f"{url}/{task.id}/messages", json={"text": "Mind this."})
        told.raise_for_status()
    over = time.perf_counter() + _LAST_SECONDS
    while time.perf_counter() < over and any(  # noqa: ASYNC110 - what is not heard is counted
        len(watcher) < len(task.asked) for task in tasks for watcher in task.heard
    ):
        await asyncio.sleep(0.05)


async def _listening(place: Place) -> int:
    """Count the connections to Redis that are subscribed to something."""
    async with Redis.from_url(place.redis_url) as redis:
        return sum(int(each["sub"]) > 0 for each in await redis.client_list())
