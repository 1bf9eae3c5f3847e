"""kill -9 of an API with files under way: the next start clears away what is nobody's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import httpx2
import pytest
from tests.support.distributed import Fleet, Running
from tests.support.users import User, user, zipped

pytestmark = pytest.mark.stack
ARCHIVE = zipped({"a.txt": "a\n"})
BODY = {
    "prompt": "x",
    "engine": "command",
    "command": "echo b > b.txt",
    "checks": {"strategy": "skip"},
}
SETTINGS = {"CODEXSYS_SANDBOX": "dummy"}


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with Fleet(folder=tmp_path / "hosts", redis_number=6, settings=SETTINGS) as running:
        yield running


async def _doomed(fleet: Fleet, at: str) -> Running:
    return await fleet.start("api", 1, CODEXSYS_CRASH_AT=at, CODEXSYS_TESTING="1")


def _under_way(api: Running) -> list[Path]:
    kinds = ("upload", "workspace")
    return [path for kind in kinds for path in (api.data / "tmp").rglob(f"{kind}-*")]


async def _dies(api: Running, asked: Awaitable[object]) -> None:
    with pytest.raises(httpx2.TransportError):
        await asked
    await asyncio.to_thread(api.process.wait, 20)


async def test_an_upload_goes_with_its_process(fleet: Fleet) -> None:
    api = await _doomed(fleet, "objects.put:before")
    async with user(fleet.servers, api.url, "ours") as ada:
        await _dies(api, ada.submit({"prompt": "x"}, archive=ARCHIVE))
        assert len(_under_way(api)) == 1
        living = await fleet.start("api", 2)
        assert len(_under_way(api)) == 1  # another host's
        again = await fleet.start("api", 1)
        assert _under_way(again) == []
        there = User(httpx2.AsyncClient(base_url=living.url, headers=ada.client.headers), "ours")
        await there.submit({"prompt": "x"}, archive=ARCHIVE)
        await there.client.aclose()


async def test_a_workspace_goes_with_its_process(fleet: Fleet) -> None:
    api, _, _ = await asyncio.gather(
        _doomed(fleet, "bench.archive:before"), fleet.start("worker", 1), fleet.start("relay", 1)
    )
    async with user(fleet.servers, api.url, "ours") as ada:
        task_id = await ada.submit(BODY, archive=ARCHIVE)
        await ada.finished(task_id, seconds=60)
        path = f"/api/v1/tasks/{task_id}/workspace"
        await _dies(api, ada.client.get(path))
        assert len(_under_way(api)) == 1
        again = await fleet.start("api", 1)
        assert _under_way(again) == []
        assert (await ada.client.get(path)).is_success
