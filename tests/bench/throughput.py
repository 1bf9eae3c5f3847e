"""Requests per second and CPU time per request of one process: ours and plain, in turn."""

import json
from contextlib import AsyncExitStack

from pydantic import BaseModel
from tests.bench.load import Measured, Plan
from tests.bench.place import Place
from tests.bench.processes import Server, our_api, plain_api, send
from tests.bench.rounds import Round, Throughput, percentile

URL = "https://example.org/bench/repository.git"
PROMPT = "Add a --json flag to the list command and test it."
OUR_BODY = {"prompt": PROMPT, "source": {"git": {"url": URL, "ref": "main"}}}
PLAIN_BODY = {"prompt": PROMPT, "git_url": URL, "git_ref": "main"}
WARM_SECONDS = 1.0
POLLED = 200
"""So many of the newest tasks are polled, in turn."""


class Side(BaseModel):
    """One of the two that are compared."""

    name: str
    base: str
    headers: dict[str, str]
    body: str


class Contest:
    """Measures the sides in turn, each against its own running process."""

    def __init__(self, *, connections: int, seconds: float) -> None:
        self._connections = connections
        self._seconds = seconds
        self._rounds: list[Round] = []
        self._ids: dict[str, list[str]] = {}

    async def run(self, place: Place, key: str, rounds: int) -> Throughput:
        sides = contestants(key)
        async with AsyncExitStack() as stack:
            servers = {
                "ours": await stack.enter_async_context(our_api(place, pinned=True)),
                "plain": await stack.enter_async_context(plain_api(place)),
            }
            for side in sides:
                await self._submit(side, servers[side.name], WARM_SECONDS)
                await self._poll(side, servers[side.name], WARM_SECONDS)
            for number in range(1, rounds + 1):
                for side in sides:
                    before = len(self._ids[side.name])
                    for what, act in (("submit", self._submit), ("poll", self._poll)):
                        cpu = servers[side.name].cpu_seconds()
                        measured = await act(side, servers[side.name], self._seconds)
                        used = servers[side.name].cpu_seconds() - cpu
                        self._rounds.append(_round(side, what, number, measured, used, before))
        # The servers have ended, so that nothing is on its way any more.
        return Throughput(
            rounds=self._rounds,
            answered={name: len(ids) for name, ids in self._ids.items()},
            rows={
                "ours": int((await place.rows("SELECT count(*) FROM tasks"))[0][0]),
                "plain": int((await place.rows("SELECT count(*) FROM plain_tasks"))[0][0]),
            },
            records={
                "ours": await place.records(place.tasks_topic),
                "plain": await place.records(place.plain_topic),
            },
        )

    async def _submit(self, side: Side, server: Server, seconds: float) -> Measured:
        measured = await send(
            Plan(
                port=server.port,
                method="POST",
                paths=[side.base],
                headers=side.headers,
                body=side.body,
                status=202,
                connections=self._connections,
                seconds=seconds,
            ),
            pinned=True,
        )
        if not measured.samples:
            raise RuntimeError(f"{side.name} took no task: {measured.wrong[:1]}")
        self._ids.setdefault(side.name, []).extend(sample.id for sample in measured.samples)
        return measured

    async def _poll(self, side: Side, server: Server, seconds: float) -> Measured:
        measured = await send(
            Plan(
                port=server.port,
                method="GET",
                paths=[f"{side.base}/{each}" for each in self._ids[side.name][-POLLED:]],
                headers=side.headers,
                status=200,
                connections=self._connections,
                seconds=seconds,
            ),
            pinned=True,
        )
        if not measured.samples:
            raise RuntimeError(f"{side.name} showed no task: {measured.wrong[:1]}")
        return measured


def contestants(key: str) -> list[Side]:
    ours = {"Authorization": f"Bearer {key}"}
    return [
        Side(name="ours", base="/api/v1/tasks", headers=ours, body=json.dumps(OUR_BODY)),
        Side(name="plain", base="/tasks", headers={}, body=json.dumps(PLAIN_BODY)),
    ]


def _round(
    side: Side, what: str, number: int, measured: Measured, used: float, before: int
) -> Round:
    times = sorted(sample.seconds * 1000 for sample in measured.samples)
    return Round(
        side=side.name,
        what=what,
        number=number,
        requests=len(times),
        wrong=len(measured.wrong),
        examples=measured.wrong[:3],
        per_second=measured.rate,
        cpu_us=used / len(times) * 1e6,
        p50_ms=percentile(times, 0.50),
        p99_ms=percentile(times, 0.99),
        server_busy=used / measured.seconds,
        load_busy=measured.busy,
        rows_before=before,
    )
