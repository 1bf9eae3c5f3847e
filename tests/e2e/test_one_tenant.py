"""Where limits cannot be held, a worker works for the first tenant and for nobody else."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.support.place import Place, open_place, reason
from typing_extensions import override

from codexsys_adapters.dummy import DummyBackend
from codexsys_core.end_reasons import EndReason
from codexsys_core.principal import Tenant


class Unlimited(DummyBackend):
    """Says that it cannot hold every limit."""

    @property
    @override
    def unenforced(self) -> tuple[str, ...]:
        return ("memory_mb",)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with open_place(tmp_path / "data", backend=Unlimited, sandbox="dummy") as opened:
        yield opened


async def test_the_second_tenants_tasks_end_with_the_reason(place: Place) -> None:
    platform = place.platform
    second = Tenant(id="tnt_second", name="second", created_at=platform.clock.now())
    await platform.keys.add_tenant(second)
    source = await place.zip_source({"README.md": "one\n"})
    theirs = replace(place, tenant=second.id)
    task = await theirs.ended(source, limits={"attempts": 1})
    assert reason(task) is EndReason.TENANT_NOT_SERVED
    assert await platform.sandboxes.of_task(task.id) == []
    own = await place.ended(source, limits={"attempts": 1})
    assert reason(own) is not EndReason.TENANT_NOT_SERVED
