"""How long a light tenant's tasks wait, alone and behind another tenant's thousand, through real services."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2
from pydantic import BaseModel
from tests.bench.place import Place
from tests.bench.processes import our_api, our_relay, our_worker
from tests.bench.rounds import percentile
from tests.support.git_http import GitHttpServer, make_repository

SLOTS, CAP = 4, 2
MOST_RATIO = 1.5
ROUND_SECONDS = 300.0
_WAITS = """
SELECT t.id, TIMESTAMPDIFF(MICROSECOND, a.created_at, a.started_at) / 1000, t.status
FROM tasks t JOIN attempts a ON a.task_id = t.id AND a.number = 1
WHERE t.id IN ({})
"""


class Fair(BaseModel):
    """Milliseconds from the row's making to its claim, by the database's clock."""

    queued: int
    tasks: int
    alone_p50_ms: float
    alone_p99_ms: float
    behind_p50_ms: float
    behind_p99_ms: float

    @property
    def ratio(self) -> float:
        return self.behind_p99_ms / self.alone_p99_ms

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        if self.ratio <= MOST_RATIO:
            return []
        return [f"a light tenant waits {self.ratio:.2f} times as long behind {self.queued} tasks"]

    def text(self) -> str:
        """Return the figures as Markdown."""
        return f"""
## A light tenant behind a heavy one

{SLOTS} slots; the heavy tenant may run {CAP} and has {self.queued} queued; the light one has one task at a time, {self.tasks} in each
round. The wait is from the row's making to its claim, by the database's clock.

| | p50 ms | p99 ms |
|---|---|---|
| alone | {self.alone_p50_ms:.1f} | {self.alone_p99_ms:.1f} |
| behind | {self.behind_p50_ms:.1f} | {self.behind_p99_ms:.1f} |

Ratio of p99: {self.ratio:.2f} (at most {MOST_RATIO}).
"""


class _Client:
    def __init__(self, client: httpx2.AsyncClient, source: str) -> None:
        self._client = client
        self._source = source

    async def submit(self, seconds: float) -> str:
        variables = {"DUMMY_AGENT_DELAY": str(seconds)}
        body = {
            "prompt": "Wait.",
            "source": {"git": {"url": self._source}},
            "environment": {"variables": variables},
        }
        answer = await self._client.post("/api/v1/tasks", json=body)
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def one_by_one(self, count: int) -> list[str]:
        """Submit, wait for the end, submit the next."""
        made = []
        async with asyncio.timeout(ROUND_SECONDS):
            for _ in range(count):
                task = await self.submit(0.05)
                made.append(task)
                path, over = f"/api/v1/tasks/{task}?wait=30", False
                while not over:
                    status = (await self._client.get(path)).json()["status"]
                    over = status in {"succeeded", "failed", "cancelled", "timed_out"}
        return made


async def measure_fair(place: Place, light: str, heavy: str, *, queued: int, tasks: int) -> Fair:
    """Measure alone, then with the heavy tenant's queue; `heavy` has a cap already."""
    repositories = place.folder / "fair"
    make_repository(repositories / "small", {"a.py": "X = 1\n"})
    with GitHttpServer(repositories) as git:
        async with (
            our_api(place, pinned=False) as api,
            our_relay(place),
            our_worker(place, slots=SLOTS),
            _client(api.port, light, git.url("small/.git")) as one,
            _client(api.port, heavy, git.url("small/.git")) as other,
        ):
            await one.one_by_one(3)
            alone = await _waits(place, await one.one_by_one(tasks))
            for _ in range(0, queued, 20):
                await asyncio.gather(*(other.submit(5) for _ in range(20)))
            behind = await _waits(place, await one.one_by_one(tasks))
            left = await place.rows("SELECT COUNT(*) FROM attempts WHERE state = 'queued'")
    return Fair(
        queued=int(left[0][0]),
        tasks=tasks,
        alone_p50_ms=percentile(alone, 0.5),
        alone_p99_ms=percentile(alone, 0.99),
        behind_p50_ms=percentile(behind, 0.5),
        behind_p99_ms=percentile(behind, 0.99),
    )


@asynccontextmanager
async def _client(port: int, key: str, source: str) -> AsyncIterator[_Client]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False
    ) as client:
        yield _Client(client, source)


async def _waits(place: Place, ids: Sequence[str]) -> list[float]:
    named = ", ".join(f":id{number}" for number in range(len(ids)))
    values = {f"id{number}": each for number, each in enumerate(ids)}
    rows = await place.rows(_WAITS.format(named), **values)
    return sorted(float(row[1]) for row in rows)
