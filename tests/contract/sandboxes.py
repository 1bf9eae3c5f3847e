"""The sandbox backends that contract suites run over, and what is done with each."""

import asyncio
import contextlib
import hashlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from tests.contract.servers import DOCKER, IMAGE, must_have
from tests.support import cluster

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_adapters.dummy import DummyBackend
from codexsys_adapters.local.backend import LocalBackend
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import (
    PhaseEnd,
    PhaseSpec,
    SandboxBackend,
    SandboxLimits,
    SandboxRole,
    SandboxSpec,
)

AGENT = Path(__file__).parents[2] / "services" / "agent"
Backend = TypeVar("Backend", bound=SandboxBackend)
LIMITS = SandboxLimits(memory_mb=192, pids=64, disk_mb=64)


@dataclass
class Kind:
    """How one backend is made, and how its phases are told what to do."""

    name: str
    make: Callable[[], SandboxBackend]

    def phase(
        self,
        name: str,
        *,
        exit_code: int = 0,
        lines: int = 0,
        delay: float = 0,
        oom: bool = False,
        oom_child: bool = False,
        **more: Any,
    ) -> PhaseSpec:
        """Return a phase that does this."""
        more = {"seconds": 30} | more
        if self.name == "dummy":
            env = {
                "DUMMY_EXIT": str(exit_code),
                "DUMMY_CHATTER": str(lines),
                "DUMMY_DELAY": str(delay),
                "DUMMY_OOM": str(int(oom)),
                "DUMMY_OOM_CHILD": str(int(oom_child)),
            }
            return PhaseSpec(name=name, argv=("true",), env=env, **more)
        script = f"for ((i=1; i<={lines}; i++)); do echo line $i; done; "
        script += "exec tail /dev/zero; " if oom else ""
        script += "tail /dev/zero; " if oom_child else ""
        script += f"sleep {delay} & wait $!; exit {exit_code}"
        return PhaseSpec(name=name, argv=("bash", "-c", script), **more)


def dummy(folder: Path) -> SandboxBackend:
    return DummyBackend(folder / "sandboxes")


def local(folder: Path) -> SandboxBackend:
    return LocalBackend(folder / "sandboxes", gateway_urls=[], agent_code=AGENT)


def docker(folder: Path, **more: Any) -> DockerBackend:
    given: dict[str, Any] = {
        "host": must_have(DOCKER),
        "sockets": folder,
        "agent_code": AGENT,
        "bundles": folder.parent / "bundles",
        "platform": str(folder),
        "image": must_have(IMAGE),
    }
    return DockerBackend(folder / "sandboxes", **(given | more))


def kubernetes(folder: Path) -> SandboxBackend:
    return cluster.backend(hashlib.sha256(str(folder).encode()).hexdigest()[:16])


KINDS: dict[str, Callable[[Path], SandboxBackend]] = {
    "dummy": dummy,
    "local": local,
    "docker": docker,
    "kubernetes": kubernetes,
}
KUBERNETES = pytest.param("kubernetes", marks=pytest.mark.kubernetes)
KEEPING = ["local", pytest.param("docker", marks=pytest.mark.docker)]
"""Those that keep layers, and hold everything that a sandbox may use."""
ISOLATING = [*KEEPING, KUBERNETES]
ALL = ["dummy", *ISOLATING]


def kind_of(name: str, folder: Path) -> Kind:
    return Kind(name, lambda: KINDS[name](folder))


@contextlib.asynccontextmanager
async def opened(made: Backend) -> AsyncIterator[Backend]:
    """Give a backend that has nothing left at the end."""
    yield made
    for name in await made.list():
        await made.destroy(name)
    assert await made.list() == []


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


async def run(backend: SandboxBackend, sandbox: str, phase: PhaseSpec) -> PhaseEnd:
    await backend.start(sandbox, phase)
    return await asyncio.wait_for(backend.wait(sandbox, phase.name), 200)


async def said(backend: SandboxBackend, sandbox: str, phase: str) -> bytes:
    """Return everything a phase said, piece by piece."""
    data = b""
    while piece := await backend.output(sandbox, phase, len(data), limit=1000):
        data += piece
    return data


async def heard(backend: SandboxBackend, sandbox: str, phase: str, wanted: bytes) -> bytes:
    """Return a phase's output as soon as it holds what is wanted."""
    data = b""
    async with asyncio.timeout(20):
        while wanted not in data:
            data += await backend.output(sandbox, phase, len(data))
    return data


def host_processes(mark: str) -> list[Path]:
    """Return the host's processes whose command line holds the mark."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may have ended
            if mark.encode() in (folder / "cmdline").read_bytes():
                found.append(folder)
    return found


def bash(name: str, script: str, **more: Any) -> PhaseSpec:
    given: dict[str, Any] = {"seconds": 30} | more
    return PhaseSpec(name=name, argv=("bash", "-c", script), **given)


USUAL = {"cpu.shares": 1024, "cpu.weight": 100}


def group_weight(folder: Path, phase: str) -> float:
    """Return how much a local sandbox's group weighs, 1 being usual."""
    groups = json.loads((folder / "group.json").read_text())
    files = [Path(group, name) for group in groups for name in USUAL]
    return next(int(file.read_text()) / USUAL[file.name] for file in files if file.exists())


def container_weight(folder: Path, part: str) -> float:
    """Return how much a container weighs as the engine says it, 1 being usual."""
    ask = ["docker", "--host", must_have(DOCKER), "inspect", "-f", "{{.HostConfig.CpuShares}}"]
    done = subprocess.run([*ask, f"{folder.name}.{part}"], check=True, capture_output=True)
    return int(done.stdout) / USUAL["cpu.shares"]


async def until_weighs(found: Callable[[], float], expected: float) -> None:
    async with asyncio.timeout(60):
        while abs(await asyncio.to_thread(found) / expected - 1) > 0.1:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
