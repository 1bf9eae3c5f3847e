"""One platform of separate processes for all tests that only use it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.distributed import Fleet, whole_fleet
from tests.support.wheels import lay_down

SETTINGS = {
    "CODEXSYS_SANDBOX": "local",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_WORKER_SLOTS": "2",
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    wheels = tmp_path_factory.mktemp("wheels")
    await asyncio.to_thread(lay_down, wheels)
    wheels.parent.chmod(0o711)
    wheels.chmod(0o755)
    settings = SETTINGS | {"CODEXSYS_SANDBOX_WHEELS": str(wheels)}
    folder = tmp_path_factory.mktemp("fleet") / "hosts"
    async with whole_fleet(folder, redis_number=7, settings=settings) as running:
        yield running
