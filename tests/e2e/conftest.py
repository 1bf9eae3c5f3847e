"""One platform of separate processes for all tests that only use it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.distributed import Fleet, required, whole_fleet
from tests.support.enterable import make_enterable
from tests.support.wheels import lay_down

SETTINGS = {
    "CODEXSYS_SANDBOX": "local",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_WORKER_SLOTS": "2",
}


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    lay_down(folder)
    make_enterable(folder)
    folder.chmod(0o755)
    return folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleet(tmp_path_factory: pytest.TempPathFactory, wheels: Path) -> AsyncIterator[Fleet]:
    settings = SETTINGS | {"CODEXSYS_SANDBOX_WHEELS": str(wheels)}
    folder = tmp_path_factory.mktemp("fleet") / "hosts"
    async with whole_fleet(folder, redis_number=7, settings=settings) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def docker_fleet(
    tmp_path_factory: pytest.TempPathFactory, wheels: Path
) -> AsyncIterator[Fleet]:
    """The same with containers; doors reach the gateways at unix sockets."""
    folder = tmp_path_factory.mktemp("docker")
    settings = SETTINGS | {
        "CODEXSYS_SANDBOX": "docker",
        "CODEXSYS_DOCKER_HOST": required("CODEXSYS_TEST_DOCKER_HOST"),
        "CODEXSYS_SANDBOX_IMAGE": required("CODEXSYS_TEST_IMAGE"),
        "CODEXSYS_SANDBOX_WHEELS": str(wheels),
        "CODEXSYS_GATEWAY_SOCKETS": str(folder / "sockets"),
    }
    async with whole_fleet(folder / "hosts", redis_number=12, settings=settings) as running:
        yield running
