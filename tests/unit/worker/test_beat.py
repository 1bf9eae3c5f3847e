"""What a worker holds, and goes on holding."""

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

from tests.support.distributed import eventually

from codexsys_core.attempt import Attempt, Claim
from codexsys_core.source import GitSource
from codexsys_core.task import Task, TaskSpec
from codexsys_core.vigil import Vigil
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.settings import Settings
from codexsys_worker.beat import Beat
from codexsys_worker.caps import Caps
from codexsys_worker.work import Work

LEASE = 0.9


async def submitted(platform: Platform) -> Task:
    task = Task(
        id=platform.ids.new("task"),
        tenant_id="ten_a",
        created_by="key_a",
        spec=TaskSpec(prompt="Wait.", source=GitSource(url="https://example.org/a/b.git")),
        created_at=platform.clock.now(),
    )
    attempt = Attempt(id=platform.ids.new("att"), task_id=task.id, tenant_id=task.tenant_id)
    await platform.tasks.add(task, attempt)
    return task


async def claimed(platform: Platform, task: Task, *, lease_seconds: float) -> Claim:
    claim = await platform.attempts.claim(task.id, owner="own_a", lease_seconds=lease_seconds)
    assert claim is not None
    return claim


async def test_what_was_lost_and_got_back_is_renewed_after_the_former_work_has_ended(
    tmp_path: Path,
) -> None:
    settings = Settings(data_dir=tmp_path, queue_url="memory:", redis_url="memory:")
    async with open_platform(settings) as platform:
        beat = Beat(
            attempts=platform.attempts,
            hints=platform.hints,
            clock=platform.clock,
            caps=Caps(quotas=platform.quotas),
            vigil=Vigil(clock=platform.clock, quiet_seconds=LEASE, wait_seconds=LEASE),
            owner="own_a",
            lease_seconds=LEASE,
        )
        task = await submitted(platform)
        former = Work.of(await claimed(platform, task, lease_seconds=-1), tmp_path)
        beating = asyncio.create_task(beat.run())
        with ExitStack() as stack:
            with beat.holding(former):
                assert await platform.attempts.take_over(grace_seconds=0, most=3, limit=1)
                claim = await claimed(platform, task, lease_seconds=LEASE)
                now = Work.of(claim, tmp_path)
                stack.enter_context(beat.holding(now))
                await asyncio.wait_for(former.stop.wait(), 10)

            async def renewed() -> bool | None:
                (row,) = await platform.attempts.of_task(task.id, tenant_id="ten_a")
                first, last = claim.attempt.lease_until, row.lease_until
                assert first is not None
                return True if last is not None and last > first + timedelta(seconds=2) else None

            await eventually(renewed, seconds=20, what="the lease is renewed again and again")
            assert (former.lost, now.lost) == (True, False)
        assert beat.works() == []
        beat.stop()
        await asyncio.wait_for(beating, 10)
