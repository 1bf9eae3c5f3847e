"""What it costs a worker to keep a thousand leases."""

import time

from pydantic import BaseModel
from tests.bench.place import Place

from codexsys_core.attempt import Attempt, Hold
from codexsys_core.source import GitSource
from codexsys_core.task import Task, TaskSpec
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.settings import Settings
from codexsys_worker.beat import BEATS

MANY = 1000
ROUNDS = 10
LEASE_SECONDS = 15.0
MOST_SHARE = 0.005
OWNER = "wrk_bench"


class Beats(BaseModel):
    """CPU milliseconds of the worker's process for one beat, and for reading how full the caps are."""

    held: int
    beat_cpu_ms: float
    beat_ms: float

    @property
    def share(self) -> float:
        """Return the part of a core that beats take, at their pace."""
        return self.beat_cpu_ms / 1000 / (LEASE_SECONDS / BEATS)

    @property
    def missed(self) -> list[str]:
        """Return what is not as it must be."""
        if self.share <= MOST_SHARE:
            return []
        return [f"beats of {self.held} attempts take {self.share:.2%} of a core"]

    def text(self) -> str:
        """Return the figures as Markdown."""
        return f"""
## Beats of {self.held} running attempts

One beat and one look at the caps: {self.beat_cpu_ms:.1f} ms of CPU in the worker, {self.beat_ms:.1f} ms until it is answered. Every
{LEASE_SECONDS / BEATS:g} s that is {self.share:.2%} of a core (at most {MOST_SHARE:.1%}).
"""


async def measure_beats(place: Place) -> Beats:
    """Hold as many attempts as a large worker would, and beat."""
    settings = Settings(
        data_dir=place.folder / "beats",
        database_url=place.mysql_url,
        store_url=f"file://{place.folder / 'objects'}",
    )
    async with open_platform(settings) as platform:
        holds = [await _held(platform) for _ in range(MANY)]
        await _beat(platform, holds)  # connections are made, statements are compiled
        cpu, began = time.process_time(), time.perf_counter()
        for _ in range(ROUNDS):
            await _beat(platform, holds)
        used, took = time.process_time() - cpu, time.perf_counter() - began
    return Beats(held=len(holds), beat_cpu_ms=used / ROUNDS * 1000, beat_ms=took / ROUNDS * 1000)


async def _beat(platform: Platform, holds: list[Hold]) -> None:
    beat = await platform.attempts.beat(OWNER, holds, lease_seconds=LEASE_SECONDS)
    if beat.lost:
        raise SystemExit(f"{len(beat.lost)} leases were lost")
    await platform.quotas.room()


async def _held(platform: Platform) -> Hold:
    task = Task(
        id=platform.ids.new("task"),
        tenant_id="ten_bench",
        created_by="key_bench",
        spec=TaskSpec(prompt="Wait.", source=GitSource(url="https://example.org/a/b.git")),
        created_at=platform.clock.now(),
    )
    attempt = Attempt(id=platform.ids.new("att"), task_id=task.id, tenant_id=task.tenant_id)
    await platform.tasks.add(task, attempt)
    claim = await platform.attempts.claim(task.id, owner=OWNER, lease_seconds=600)
    if claim is None:
        raise SystemExit("an attempt of our own could not be claimed")
    return claim.hold
