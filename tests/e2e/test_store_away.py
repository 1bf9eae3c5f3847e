"""An object store that goes away while a task is worked on: waited for, then an end reason of its own."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.test_end_reasons_steered import FILES, PATCH, steered
from tests.support.distributed import Servers, eventually
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.place import Place, open_place, reason

from codexsys_core.end_reasons import EndReason

pytestmark = pytest.mark.stack


@pytest.fixture
async def store() -> AsyncIterator[tuple[FaultProxy, Servers]]:
    servers = Servers(redis_number=9)
    async with FaultProxy(servers.s3.hostname or "", servers.s3.port or 80) as proxy:
        yield proxy, servers
    servers.remove_buckets()


@pytest.fixture
async def place(tmp_path: Path, store: tuple[FaultProxy, Servers]) -> AsyncIterator[Place]:
    proxy, servers = store
    async with open_place(
        tmp_path / "data",
        sandbox="dummy",
        store_url=f"s3://127.0.0.1:{proxy.port}",
        store_key=servers.s3_key,
        store_secret=servers.s3_secret,
        store_bucket_suffix=servers.suffix,
        store_patience_seconds=4,
    ) as running:
        yield running


async def _until_finishing(place: Place, proxy: FaultProxy) -> str:
    """Submit a task whose work is done once the store is away."""
    source = await place.zip_source(FILES)
    environment = steered(AGENT_DELAY=1, PATCH=PATCH)
    task_id = await place.submit(source, environment=environment, limits={"attempts": 2})
    await place.until(task_id, phase="analyzing")
    proxy.turn(Weather.CUT)
    return task_id


async def test_a_store_that_comes_back_costs_no_attempt(
    place: Place, store: tuple[FaultProxy, Servers]
) -> None:
    proxy, _ = store
    task_id = await _until_finishing(place, proxy)
    await place.until(task_id, phase="committing")
    proxy.turn(Weather.CLEAR)
    task = await place.until(task_id)
    assert (reason(task), task.attempt) == (EndReason.FINISHED, 1)
    assert {each.name for each in await place.platform.artifacts.of_task(task_id)} >= {"diff.patch"}
    await place.clean()


async def test_a_store_that_stays_away_ends_the_task(
    place: Place, store: tuple[FaultProxy, Servers]
) -> None:
    proxy, _ = store
    task_id = await _until_finishing(place, proxy)
    task = await place.until(task_id)
    assert (reason(task), task.attempt) == (EndReason.STORE_UNAVAILABLE, 2)
    await place.clean()
    proxy.turn(Weather.CLEAR)


async def test_the_next_attempt_works_once_the_store_is_back(
    place: Place, store: tuple[FaultProxy, Servers]
) -> None:
    proxy, _ = store
    task_id = await _until_finishing(place, proxy)

    async def second() -> bool | None:
        task = await place.platform.tasks.get(task_id, tenant_id=place.tenant)
        return True if task.attempt == 2 else None

    await eventually(second, seconds=30, what="the first attempt is over")
    proxy.turn(Weather.CLEAR)
    task = await place.until(task_id)
    assert (reason(task), task.attempt) == (EndReason.FINISHED, 2)
    await place.clean()


@pytest.fixture
async def patient(tmp_path: Path) -> AsyncIterator[tuple[Place, FaultProxy]]:
    """A platform that waits for its store for longer than any test takes."""
    servers = Servers(redis_number=9)
    async with FaultProxy(servers.s3.hostname or "", servers.s3.port or 80) as proxy:
        async with open_place(
            tmp_path / "data",
            sandbox="dummy",
            store_url=f"s3://127.0.0.1:{proxy.port}",
            store_key=servers.s3_key,
            store_secret=servers.s3_secret,
            store_bucket_suffix=servers.suffix,
            store_patience_seconds=600,
            lease_seconds=3,
        ) as running:
            yield running, proxy
        proxy.turn(Weather.CLEAR)
    await asyncio.to_thread(servers.remove_buckets)


@pytest.mark.parametrize("weather", [Weather.CUT, Weather.BLACK_HOLE])
@pytest.mark.parametrize("phase", ["cloning", "committing"])
async def test_a_cancel_does_not_wait_for_the_store(
    patient: tuple[Place, FaultProxy], phase: str, weather: Weather
) -> None:
    place, proxy = patient
    source = await place.zip_source(FILES)
    if phase == "cloning":
        proxy.turn(weather)
    environment = steered(AGENT_DELAY=1, PATCH=PATCH)
    task_id = await place.submit(source, environment=environment)
    if phase == "committing":
        await place.until(task_id, phase="analyzing")
        proxy.turn(weather)
    await place.until(task_id, phase=phase)
    await place.platform.tasks.cancel(task_id, tenant_id=place.tenant)
    task = await place.until(task_id, seconds=20)
    assert (reason(task), task.attempt) == (EndReason.CANCELLED, 1)
    await place.clean()
