"""A tenant's cap on what runs, kept by workers: its other tasks wait, and nobody else's do."""

from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.support.place import Place, open_place

from codexsys_core.environment import Environment
from codexsys_core.principal import Tenant
from codexsys_core.quota import Quota

SLOW = Environment(variables={"DUMMY_AGENT_DELAY": "0.3"})


async def ran(place: Place, task_id: str) -> tuple[datetime, datetime]:
    """Return when a task's only attempt began and ended, by the database's clock."""
    await place.until(task_id, seconds=120)
    (attempt,) = await place.platform.attempts.of_task(task_id, tenant_id=place.tenant)
    assert attempt.started_at is not None
    assert attempt.ended_at is not None
    return attempt.started_at, attempt.ended_at


async def test_a_capped_tenant_runs_one_at_a_time_and_lets_others_pass(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"worker_slots": 4, "relay_seconds": 0.1, "lease_seconds": 3}
    async with open_place(tmp_path / "data", sandbox="dummy", **settings) as heavy:
        platform = heavy.platform
        light = replace(heavy, tenant="tnt_light")
        now = platform.clock.now()
        await platform.keys.add_tenant(Tenant(id=light.tenant, name="light", created_at=now))
        await platform.quotas.set(heavy.tenant, Quota(max_running=1))
        source = await heavy.zip_source({"README.md": "one\n"})
        many = [await heavy.submit(source, environment=SLOW) for _ in range(8)]
        few = [await light.submit(source, environment=SLOW) for _ in range(3)]
        passed = [await ran(light, task) for task in few]
        waited = sorted([await ran(heavy, task) for task in many])
        for (_, ended), (began, _) in pairwise(waited):
            assert ended <= began
        assert max(ended for _, ended in passed) < waited[-1][0]
        assert await platform.quotas.room() == {}
