"""How soon a cancelled task is over: queued, and in a `local` sandbox until its process is gone."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from pydantic import BaseModel
from tests.bench.place import Place
from tests.bench.processes import our_api, our_gateway, our_worker
from tests.bench.rounds import percentile
from tests.support.distributed import eventually
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.git_http import GitHttpServer, make_repository

from codexsys_worker.beat import BEATS

SLOTS = 4
LEASE_SECONDS = 15.0
MOST_P50_MS, MOST_P99_MS = 100.0, 1000.0
START_SECONDS = 60.0


class Cancel(BaseModel):
    """Milliseconds from the request: queued until its answer, running until the process is gone."""

    queued_ms: list[float]
    queued_over: int
    """Of these the answer itself said `cancelled`."""
    running_ms: list[float]
    without_redis_ms: list[float]

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        found = []
        if self.queued_over < len(self.queued_ms):
            found.append("a queued task was not cancelled in one round trip")
        p50, p99 = percentile(self.running_ms, 0.5), percentile(self.running_ms, 0.99)
        if p50 > MOST_P50_MS or p99 > MOST_P99_MS:
            found.append(f"a running task is gone after {p50:.0f} ms, p99 {p99:.0f} ms")
        beat_ms = LEASE_SECONDS / BEATS * 1000
        if max(self.without_redis_ms) > beat_ms + MOST_P99_MS:
            found.append(f"without Redis it takes up to {max(self.without_redis_ms):.0f} ms")
        return found

    def text(self) -> str:
        """Return the figures as Markdown."""
        rows = [
            ("queued, until the answer", self.queued_ms, "one round trip"),
            (
                "running in `local`, until its process is gone",
                self.running_ms,
                f"p50 ≤ {MOST_P50_MS:g}, p99 ≤ {MOST_P99_MS:g}",
            ),
            (
                "the same without Redis",
                self.without_redis_ms,
                f"a beat ({LEASE_SECONDS / BEATS:g} s)",
            ),
        ]
        lines = [
            f"| {what} | {len(times)} | {percentile(times, 0.5):.0f} | {percentile(times, 0.99):.0f} | {wanted} |"
            for what, times, wanted in rows
        ]
        head = ["| cancelled | times | p50 ms | p99 ms | wanted |", "|---|---|---|---|---|"]
        return "\n".join(["", "## Cancel", "", *head, *lines, ""])


@dataclass(frozen=True)
class _Tasks:
    client: httpx2.AsyncClient
    source: str

    async def submit(self, mark: str) -> str:
        body = {
            "prompt": "Wait.",
            "engine": "command",
            "command": f"exec -a {mark} sleep 600",
            "checks": {"strategy": "skip"},
            "source": {"git": {"url": self.source}},
        }
        answer = await self.client.post("/api/v1/tasks", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def cancel(self, task: str) -> dict[str, Any]:
        answer = await self.client.post(f"/api/v1/tasks/{task}/cancel")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def over(self, task: str) -> None:
        async def look() -> bool | None:
            status = (await self.client.get(f"/api/v1/tasks/{task}?wait=10")).json()["status"]
            return True if status == "cancelled" else None

        await eventually(look, seconds=START_SECONDS, what=f"{task} is cancelled")


async def measure_cancel(place: Place, key: str, times: int) -> Cancel:
    """Cancel tasks one at a time."""
    repositories = place.folder / "cancel"
    make_repository(repositories / "small", {"a.py": "X = 1\n"})
    redis = urlsplit(place.redis_url)
    with GitHttpServer(repositories) as git:
        async with FaultProxy(redis.hostname or "127.0.0.1", redis.port or 6379) as proxy:
            cut_off = f"{redis.scheme}://127.0.0.1:{proxy.port}{redis.path}"
            behind = replace(place, redis_url=cut_off)
            async with (
                our_api(behind, pinned=False) as api,
                our_gateway(behind) as gateway,
                _tasks(api.port, key, git.url("small/.git")) as tasks,
            ):
                queued = [await _queued(tasks) for _ in range(times)]
                settings = {
                    "CODEXSYS_SANDBOX": "local",
                    "CODEXSYS_GATEWAY_URL": f"http://127.0.0.1:{gateway.port}",
                }
                async with our_worker(behind, slots=SLOTS, **settings):
                    await _running(tasks)
                    running = [await _running(tasks) for _ in range(times)]
                    without = [await _running(tasks, proxy) for _ in range(max(3, times // 5))]
    return Cancel(
        queued_ms=sorted(took for took, _ in queued),
        queued_over=sum(over for _, over in queued),
        running_ms=sorted(running),
        without_redis_ms=sorted(without),
    )


async def _queued(tasks: _Tasks) -> tuple[float, bool]:
    task = await tasks.submit("never")
    began = time.perf_counter()
    answer = await tasks.cancel(task)
    return (time.perf_counter() - began) * 1000, answer["status"] == "cancelled"


async def _running(tasks: _Tasks, proxy: FaultProxy | None = None) -> float:
    mark = f"mark-{uuid.uuid4().hex}"
    task = await tasks.submit(mark)

    async def found() -> int | None:
        return await asyncio.to_thread(_process, mark)

    pid = await eventually(found, seconds=START_SECONDS, what=f"{task} runs", every=0.05)
    if proxy is not None:
        proxy.turn(Weather.CUT)
    async with _gone(pid) as gone:
        began = time.perf_counter()
        await tasks.cancel(task)
        await gone.wait()
        took = (time.perf_counter() - began) * 1000
    if proxy is not None:
        proxy.turn(Weather.CLEAR)
    await tasks.over(task)
    return took


def _process(mark: str) -> int | None:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if words[0] == mark.encode():
            return int(path.parent.name)
    return None


@asynccontextmanager
async def _gone(pid: int) -> AsyncIterator[asyncio.Event]:
    """Give what is set when the process has ended."""
    descriptor = os.pidfd_open(pid)
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, event.set)
    try:
        yield event
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


@asynccontextmanager
async def _tasks(port: int, key: str, source: str) -> AsyncIterator[_Tasks]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False
    ) as client:
        yield _Tasks(client, source)
