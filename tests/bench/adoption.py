"""How soon another worker of the host owns what a killed one ran, and whether anything was restarted."""

import asyncio
import os
import signal
import time

import httpx2
from pydantic import BaseModel
from tests.bench.place import Place
from tests.bench.processes import our_api, our_relay, our_worker
from tests.support.git_http import GitHttpServer, make_repository

LEASE_SECONDS = 5.0
MOST_SECONDS = LEASE_SECONDS + 2
SECONDS = 240.0
_DELAY = 40
_RUNNING = """
SELECT count(*) FROM tasks t JOIN attempts a ON a.task_id = t.id
WHERE t.phase = 'analyzing' AND a.state = 'running' AND a.fence > :fence AND a.lease_until > UTC_TIMESTAMP(6)
"""
_ENDS = """
SELECT count(*),
  sum(t.status = 'succeeded' OR t.end_reason = 'no_change'),
  sum(a.takeovers = 1 AND 1 = (SELECT count(*) FROM sandboxes s WHERE s.task_id = t.id AND s.role = 'agent'))
FROM tasks t JOIN attempts a ON a.task_id = t.id WHERE t.finished_at IS NOT NULL
"""


class Adoption(BaseModel):
    """What became of the attempts of a worker that was killed."""

    attempts: int
    half_seconds: float
    all_seconds: float
    """From kill -9 until each is owned again, its lease good."""
    well: int
    in_place: int
    """Went on in the sandbox in which they were."""

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        slow = f"{self.attempts} attempts of a killed worker are owned again after {self.all_seconds:.1f} s"
        lost = f"{self.in_place} of {self.attempts} attempts of a killed worker went on in place"
        return [slow] * (self.all_seconds > MOST_SECONDS) + [lost] * (self.in_place < self.attempts)

    def text(self) -> str:
        """Return the figures as Markdown."""
        return f"""
## A killed worker's attempts

{self.attempts} `dummy` attempts run on one worker; it is killed, and another one of the host carries on. Leases last {LEASE_SECONDS:g} s.

| | |
|---|---|
| half of them owned again after | {self.half_seconds:.2f} s |
| all of them owned again after | {self.all_seconds:.2f} s (at most {MOST_SECONDS:g}) |
| went on in their sandbox | {self.in_place} of {self.attempts} |
| ended as they would have | {self.well} of {self.attempts} |
"""


async def measure_adoption(place: Place, key: str, *, attempts: int) -> Adoption:
    """Kill a worker that runs so many, beside an idle one that has been up for more than a lease."""
    repositories = place.folder / "adoption"
    make_repository(repositories / "small", {"a.py": "X = 1\n"})
    settings = {
        "CODEXSYS_LEASE_SECONDS": f"{LEASE_SECONDS:g}",
        "CODEXSYS_DATA_DIR": str(place.folder / "host"),
    }
    with GitHttpServer(repositories) as git:
        async with (
            our_api(place, pinned=False) as api,
            our_relay(place, **settings),
            our_worker(place, slots=attempts, **settings) as first,
        ):
            await _submit(api.port, key, git.url("small/.git"), attempts)
            await _counted(place, attempts, fence=0)
            async with our_worker(place, name="heir", slots=attempts, **settings):
                await asyncio.sleep(LEASE_SECONDS + 5)  # who starts believes no lease before that
                os.kill(first.pid, signal.SIGKILL)
                killed = time.monotonic()
                await _counted(place, attempts // 2, fence=1)
                half = time.monotonic() - killed
                await _counted(place, attempts, fence=1)
                whole = time.monotonic() - killed
                well, in_place = await _ended(place, attempts)
    return Adoption(
        attempts=attempts, half_seconds=half, all_seconds=whole, well=well, in_place=in_place
    )


async def _submit(port: int, key: str, source: str, count: int) -> None:
    variables = {"DUMMY_AGENT_DELAY": str(_DELAY)}
    body = {
        "prompt": "Wait.",
        "source": {"git": {"url": source}},
        "environment": {"variables": variables},
    }
    async with httpx2.AsyncClient(
        base_url=f"http://127.0.0.1:{port}",
        headers={"Authorization": f"Bearer {key}"},
        timeout=60,
        trust_env=False,
    ) as client:
        for start in range(0, count, 20):
            asked = [client.post("/api/v1/tasks", json=body) for _ in range(min(20, count - start))]
            for answer in await asyncio.gather(*asked):
                answer.raise_for_status()


async def _counted(place: Place, wanted: int, *, fence: int) -> None:
    """Wait until so many run under a higher fence."""
    async with asyncio.timeout(SECONDS):
        while (await place.rows(_RUNNING, fence=fence))[0][0] < wanted:  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.05)


async def _ended(place: Place, wanted: int) -> tuple[int, int]:
    async with asyncio.timeout(SECONDS):
        while True:
            count, well, in_place = (await place.rows(_ENDS))[0]
            if count >= wanted:
                return int(well), int(in_place)
            await asyncio.sleep(0.5)
