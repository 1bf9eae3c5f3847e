"""What only containers have: images, services beside the sandbox, an engine that can die."""

import asyncio
import shlex
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.servers import DOCKER, IMAGE, must_have

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_core.environment import EnvironmentService
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import PhaseEnd, PhaseSpec, SandboxLimits, SandboxRole, SandboxSpec

pytestmark = pytest.mark.docker

REPOSITORY = Path(__file__).parents[2]
LIMITS = SandboxLimits(memory_mb=192, pids=64, disk_mb=64)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def made(**more: Any) -> DockerBackend:
        given: dict[str, Any] = {
            "host": must_have(DOCKER),
            "sockets": tmp_path,
            "agent_code": REPOSITORY / "services" / "agent",
            "bundles": tmp_path.parent / "bundles",
            "platform": str(tmp_path),
            "image": must_have(IMAGE),
        }
        return DockerBackend(tmp_path / "sandboxes", **(given | more))

    return made


@pytest.fixture
async def backend(make: Any) -> AsyncIterator[DockerBackend]:
    made: DockerBackend = make()
    yield made
    for name in await made.list():
        await made.destroy(name)
    assert await made.list() == []


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base.git"
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    return folder


def spec_of(**more: Any) -> SandboxSpec:
    given: dict[str, Any] = {
        "id": TimeOrderedIds().new("sbx"),
        "task_id": "task_1",
        "tenant_id": "tenant_1",
        "role": SandboxRole.AGENT,
        "limits": LIMITS,
        "seconds": 120,
    }
    return SandboxSpec(**(given | more))


async def run(
    backend: DockerBackend, sandbox: str, name: str, script: str, **more: Any
) -> tuple[PhaseEnd, str]:
    given: dict[str, Any] = {"seconds": 30, "argv": ("bash", "-c", script)} | more
    await backend.start(sandbox, PhaseSpec(name=name, **given))
    end = await asyncio.wait_for(backend.wait(sandbox, name), 60)
    return end, (await backend.output(sandbox, name, 0, limit=1 << 20)).decode()


SERVE = "import http.server as h, os; os.chdir('/run'); open('word', 'w').write(os.environ['WORD']); h.test(h.SimpleHTTPRequestHandler, port=5432, bind='127.0.0.1')"
ASK = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5432/word', timeout=5).read().decode())"
ASKED = f"python3 -c {shlex.quote(ASK)}"


def service(**more: Any) -> EnvironmentService:
    given = {"name": "words", "image": must_have(IMAGE), "port": 5432}
    given |= {"command": ("python3", "-c", SERVE), "variables": {"WORD": "hello there"}}
    return EnvironmentService(**(given | more))


class TestServices:
    async def test_beside_the_agent(self, backend: DockerBackend, base: Path) -> None:
        told: list[str] = []
        spec = spec_of(services=(service(),), token="secret")
        await backend.create(spec, base, progress=told.append)
        assert any("words" in line for line in told)
        assert await run(backend, spec.id, "agent", ASKED, network="door") == (
            PhaseEnd(exit_code=0),
            "hello there\n",
        )
        for number, more in enumerate(({}, {"workspace": "sealed"})):
            end, _ = await run(backend, spec.id, f"other-{number}", ASKED, **more)
            assert end.exit_code == 1

    async def test_beside_the_checks(self, backend: DockerBackend, base: Path) -> None:
        spec = spec_of(services=(service(),), role=SandboxRole.VERIFY)
        await backend.create(spec, base)
        await backend.create(spec, base)
        assert (await run(backend, spec.id, "checks", ASKED))[1] == "hello there\n"
        other = spec_of(role=SandboxRole.VERIFY)
        await backend.create(other, base)
        assert (await run(backend, other.id, "checks", ASKED))[0].exit_code == 1
