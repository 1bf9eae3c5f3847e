"""One platform of separate processes for all tests that only use it."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.distributed import Fleet, whole_fleet

SETTINGS = {
    "CODEXSYS_SANDBOX": "local",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_WORKER_SLOTS": "2",
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet") / "hosts"
    async with whole_fleet(folder, redis_number=7, settings=SETTINGS) as running:
        yield running
