"""How long a task waits from its 202 until its sandbox is entered, at a fixed rate of submits."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from tests.bench.load import Measured, Plan, Sample
from tests.bench.place import Place
from tests.bench.processes import Server, our_api, our_relay, our_worker, send
from tests.bench.rounds import percentile
from tests.support.git_http import GitHttpServer, make_repository

END_SECONDS = 75.0
WARM_TASKS = 3
_TASKS = """
SELECT t.id, t.status, t.end_reason, a.published_at, a.started_at, s.created_at, e.at
FROM tasks t JOIN attempts a ON a.task_id = t.id AND a.number = 1
LEFT JOIN sandboxes s ON s.task_id = t.id AND s.role = 'agent'
LEFT JOIN events e ON e.task_id = t.id AND e.type = 'task.phase' AND e.data LIKE '%"setup"%'
WHERE t.id > :after
"""
STEPS = {
    "claimed": "the attempt's started_at: a worker owns it",
    "described": "the sandbox row's created_at: the source was fetched and stored before it",
    "entered": "the at of the event task.phase setup: the sandbox is live and its first phase begins",
}


class Spread(BaseModel):
    """Milliseconds after the 202 was read by the client."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Dispatch(BaseModel):
    """What was measured at one rate."""

    rate: float
    seconds: float
    answered: int
    wrong: int
    examples: list[str]
    accepted_p50_ms: float
    accepted_p99_ms: float
    """From the moment at which the submit was due to its 202."""
    steps: dict[str, Spread]
    ended: dict[str, int]
    all_over_seconds: float
    """From the first submit until the last task was over."""
    worker_cpu_ms: float
    """CPU time for each task of the worker's process, without the processes that it starts."""
    machine_busy: float
    """Share of all cores that was busy while tasks were under way, whoever used them."""


async def measure(place: Place, key: str, rates: Sequence[tuple[float, float]]) -> list[Dispatch]:
    """Measure at each (rate, seconds) in turn; the worker is idle before each."""
    async with ready(place, key) as bench:
        return [await bench.at(rate=rate, seconds=seconds) for rate, seconds in rates]


@asynccontextmanager
async def ready(
    place: Place, key: str, *, relay: bool = False, workers: int = 1
) -> AsyncIterator["Bench"]:
    """Start an API, so many workers and perhaps a relay, and see some tasks through."""
    repositories = place.folder / "repositories"
    make_repository(repositories / "small", {f"module_{n}.py": "X = 1\n" * 50 for n in range(20)})
    with GitHttpServer(repositories) as git:
        async with AsyncExitStack() as services:
            api = await services.enter_async_context(our_api(place, pinned=False))
            working = [
                await services.enter_async_context(our_worker(place, name=f"worker-{number}"))
                for number in range(1, workers + 1)
            ]
            if relay:
                await services.enter_async_context(our_relay(place))
            bench = Bench(place, key, api, working, git.url("small/.git"))
            await bench.at(rate=2.0, seconds=WARM_TASKS / 2)
            yield bench


class Bench:
    """Submits tasks, and looks up what became of them."""

    def __init__(
        self, place: Place, key: str, api: Server, workers: Sequence[Server], url: str
    ) -> None:
        self._place = place
        self._key = key
        self._api = api
        self._workers = workers
        self._url = url

    async def at(self, *, rate: float, seconds: float) -> Dispatch:
        """Measure at one rate, for some seconds."""
        last = (await self._place.rows("SELECT coalesce(max(id), '') FROM tasks"))[0][0]
        cpu, machine, begun = self._worked(), _machine(), time.time()
        sent = await self._submit(rate, seconds)
        rows = await self._over(last, len(sent.samples))
        over = time.time()
        used, busy = self._worked() - cpu, _busy(machine, _machine())
        taken = sorted(sample.seconds * 1000 for sample in sent.samples)
        return Dispatch(
            rate=rate,
            seconds=seconds,
            answered=len(sent.samples),
            wrong=len(sent.wrong),
            examples=sent.wrong[:3],
            accepted_p50_ms=percentile(taken, 0.50),
            accepted_p99_ms=percentile(taken, 0.99),
            steps=_steps(sent.samples, rows),
            ended=dict(Counter(f"{row.status}: {row.end_reason}" for row in rows)),
            all_over_seconds=over - begun,
            worker_cpu_ms=used / max(1, len(rows)) * 1000,
            machine_busy=busy,
        )

    def _worked(self) -> float:
        return sum(worker.cpu_seconds() for worker in self._workers)

    async def _submit(self, rate: float, seconds: float) -> Measured:
        body = {"prompt": "What is this?", "mode": "explain", "source": {"git": {"url": self._url}}}
        plan = Plan(
            port=self._api.port,
            method="POST",
            paths=["/api/v1/tasks"],
            headers={"Authorization": f"Bearer {self._key}"},
            body=json.dumps(body),
            status=202,
            # Few enough that none idles for as long as the server keeps a silent connection.
            connections=max(2, round(2 * rate)),
            seconds=seconds,
            rate=rate,
        )
        sent = await send(plan, pinned=False)
        if not sent.samples:
            raise RuntimeError(f"no task was taken: {sent.wrong[:1]}")
        return sent

    async def _over(self, after: str, count: int) -> Sequence[Any]:
        """Wait until all are over, or the deadline; return the rows as they are then."""
        deadline = time.monotonic() + END_SECONDS
        open_ones = "SELECT count(*) FROM tasks WHERE id > :after AND finished_at IS NULL"
        while time.monotonic() < deadline:
            if (await self._place.rows(open_ones, after=after))[0][0] == 0:
                break
            await asyncio.sleep(0.2)
        rows = await self._place.rows(_TASKS, after=after)
        if len(rows) != count:
            raise RuntimeError(f"{count} tasks were accepted and {len(rows)} are there")
        return rows


def _steps(samples: Sequence[Sample], rows: Sequence[Any]) -> dict[str, Spread]:
    answered = {sample.id: sample.answered_at for sample in samples}
    moments = {"claimed": "started_at", "described": "created_at", "entered": "at"}
    found = {}
    for step, column in moments.items():
        times = sorted(
            (_epoch(moment) - answered[row.id]) * 1000
            for row in rows
            if (moment := getattr(row, column)) is not None
        )
        if times:
            found[step] = Spread(
                count=len(times),
                p50_ms=percentile(times, 0.50),
                p99_ms=percentile(times, 0.99),
                max_ms=times[-1],
            )
    return found


def _epoch(moment: datetime) -> float:
    """Read a time of the database, which is on this machine and has its clock."""
    return moment.replace(tzinfo=UTC).timestamp()


def _machine() -> tuple[int, int]:
    """Return (all, idle) ticks of all cores."""
    ticks = [int(part) for part in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(ticks), ticks[3] + ticks[4]


def _busy(before: tuple[int, int], after: tuple[int, int]) -> float:
    return 1 - (after[1] - before[1]) / max(1, after[0] - before[0])
