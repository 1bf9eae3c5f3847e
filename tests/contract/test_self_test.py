"""The self-test passes for every isolating backend, and notices each wall that is broken."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.servers import DOCKER, IMAGE, must_have
from tests.support.enterable import make_enterable
from typing_extensions import override

from codexsys_adapters.docker.backend import DockerBackend
from codexsys_adapters.dummy import DummyBackend
from codexsys_adapters.local.backend import LocalBackend
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import (
    Created,
    PhaseEnd,
    PhaseSpec,
    Progress,
    SandboxBackend,
    SandboxRole,
    SandboxSpec,
    silent,
)
from codexsys_wiring.self_test import PREFIX, Trial, self_test

AGENT = Path(__file__).parents[2] / "services" / "agent"


def local(folder: Path) -> SandboxBackend:
    return LocalBackend(folder / "sandboxes", gateway_urls=[], agent_code=AGENT)


def docker(folder: Path) -> SandboxBackend:
    (folder / "gateways").mkdir()
    return DockerBackend(
        folder / "sandboxes",
        host=must_have(DOCKER),
        sockets=folder / "gateways",
        agent_code=AGENT,
        bundles=folder / "bundles",
        platform=str(folder),
        image=must_have(IMAGE),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_enterable(tmp_path / "any")
    return tmp_path


def of(found: list[Trial], state: str) -> dict[str, str]:
    return {trial.name: trial.detail for trial in found if trial.state == state}


@pytest.mark.parametrize("make", [local, pytest.param(docker, marks=pytest.mark.docker)])
async def test_a_backend_that_keeps_its_promise_passes(
    folder: Path, make: Callable[[Path], SandboxBackend]
) -> None:
    backend = make(folder)
    found = await self_test(backend)
    assert of(found, "broken") == {}, found
    holds = {"closed network", "door", "clean-up", "processes", "disk", "memory"}
    unheld = {"pids": "processes", "disk_mb": "disk", "memory_mb": "memory"}
    holds -= {name for field, name in unheld.items() if field in backend.unenforced}
    assert set(of(found, "holds")) >= holds
    assert not [name for name in await backend.list() if name.startswith(PREFIX)]


class Sabotaged:
    """A real backend of which one thing is spoiled."""

    def __init__(self, backend: SandboxBackend) -> None:
        self._backend = backend

    @property
    def place(self) -> str:
        return self._backend.place

    @property
    def unenforced(self) -> tuple[str, ...]:
        return self._backend.unenforced

    async def create(
        self, spec: SandboxSpec, base: Path | None, *, progress: Progress = silent
    ) -> Created:
        return await self._backend.create(spec, base, progress=progress)

    async def keep(self, sandbox_id: str, layer: str) -> None:
        await self._backend.keep(sandbox_id, layer)

    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        await self._backend.start(sandbox_id, phase)

    async def wait(self, sandbox_id: str, phase: str) -> PhaseEnd:
        return await self._backend.wait(sandbox_id, phase)

    async def output(
        self, sandbox_id: str, phase: str, offset: int, *, limit: int = 65_536
    ) -> bytes:
        return await self._backend.output(sandbox_id, phase, offset, limit=limit)

    async def signal(self, sandbox_id: str, *, kill: bool = False) -> None:
        await self._backend.signal(sandbox_id, kill=kill)

    async def list(self) -> list[str]:
        return await self._backend.list()

    async def destroy(self, sandbox_id: str) -> None:
        await self._backend.destroy(sandbox_id)


class Online(Sabotaged):
    """Every phase may go out."""

    @override
    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        network = "door" if phase.network == "door" else "public"
        await super().start(sandbox_id, phase.model_copy(update={"network": network}))


class Doorless(Sabotaged):
    """No phase has a door."""

    @override
    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        network = "none" if phase.network == "door" else phase.network
        await super().start(sandbox_id, phase.model_copy(update={"network": network}))


class Everywhere(Sabotaged):
    """Every phase has a door."""

    @override
    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        await super().start(sandbox_id, phase.model_copy(update={"network": "door"}))


class Generous(Sabotaged):
    """Limits are not set as they are told."""

    @override
    async def create(
        self, spec: SandboxSpec, base: Path | None, *, progress: Progress = silent
    ) -> Created:
        more: dict[str, Any] = {"memory_mb": 2048, "pids": 1024, "disk_mb": 1024}
        limits = spec.limits.model_copy(update=more)
        return await super().create(spec.model_copy(update={"limits": limits}), base)


class Forgetful(Sabotaged):
    """Nothing is cleared away."""

    @override
    async def destroy(self, sandbox_id: str) -> None:
        return


@pytest.mark.parametrize(
    ("spoil", "noticed"),
    [
        (Online, {"closed network"}),
        (Doorless, {"door"}),
        (Everywhere, {"closed network"}),
        (Generous, {"memory", "processes", "disk"}),
        (Forgetful, {"clean-up"}),
    ],
)
async def test_a_broken_wall_is_noticed(
    folder: Path, spoil: type[Sabotaged], noticed: set[str]
) -> None:
    backend = local(folder)
    found = await self_test(spoil(backend))
    try:
        assert set(of(found, "broken")) >= noticed, found
    finally:
        for left in await backend.list():
            await backend.destroy(left)


async def test_what_a_killed_self_test_left_is_removed(folder: Path) -> None:
    backend = local(folder)
    old, young = f"{PREFIX}_" + "0" * 26, TimeOrderedIds().new(PREFIX)
    for each in (old, young):
        spec = SandboxSpec(
            id=each, task_id=each, tenant_id=PREFIX, role=SandboxRole.VERIFY, seconds=60
        )
        (folder / "base.git").mkdir(exist_ok=True)
        await backend.create(spec, folder / "base.git")
    await self_test(backend)
    assert await backend.list() == [young]
    await backend.destroy(young)


async def test_a_sandbox_that_isolates_nothing_does_not_pass(tmp_path: Path) -> None:
    found = await self_test(DummyBackend(tmp_path / "sandboxes"))
    assert of(found, "broken")
