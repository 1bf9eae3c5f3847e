"""A cluster that is away, slow, forgetful or restarted in parts: sandboxes go on, and none is made twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sandboxes import bash, heard, run, said, spec_of
from tests.support import cluster
from tests.support.cluster import NAMESPACE, kubectl, pods_made
from tests.support.fault_proxy import FaultProxy, Weather
from typing_extensions import override

from codexsys_adapters.kubernetes.backend import KubernetesBackend
from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.site import Object
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import PhaseEnd, SandboxSpec

pytestmark = pytest.mark.kubernetes

TOKEN = "sbt-of-this-sandbox"
AWAY_SECONDS = 4.0


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async with FaultProxy(*cluster.server()) as made:
        yield made


@pytest.fixture
async def backend(
    platform: str, proxy: FaultProxy, tmp_path: Path
) -> AsyncIterator[KubernetesBackend]:
    """A backend that reaches the cluster through the weather."""
    made = cluster.backend(platform, kubeconfig=cluster.through_port(proxy.port, tmp_path))
    yield made
    proxy.turn(Weather.CLEAR)
    for name in await made.list():
        await made.destroy(name)


def counting(seconds: int) -> str:
    return f"for n in $(seq {seconds}); do echo line $n; sleep 1; done"


def lines(seconds: int) -> bytes:
    return b"".join(b"line %d\n" % n for n in range(1, seconds + 1))


async def begun(backend: KubernetesBackend, base: Path, seconds: int) -> SandboxSpec:
    """Return a sandbox in which an agent counts the seconds."""
    spec = spec_of(token=TOKEN, seconds=300)
    await backend.create(spec, base)
    phase = bash("agent", counting(seconds), network="door", seconds=250)
    await backend.start(spec.id, phase)
    await heard(backend, spec.id, "agent", b"line 2\n")
    return spec


async def goes_on(backend: KubernetesBackend, spec: SandboxSpec, seconds: int) -> None:
    """The agent counts to its end, nothing is missing, and the next phase finds its place."""
    end = await asyncio.wait_for(backend.wait(spec.id, "agent"), 200)
    assert end == PhaseEnd(exit_code=0)
    assert await said(backend, spec.id, "agent") == lines(seconds)
    assert (await run(backend, spec.id, bash("collect", "true", workspace="sealed"))).exit_code == 0
    assert await asyncio.to_thread(pods_made, spec.id) == 1


@pytest.mark.parametrize(
    ("weather", "seconds"),
    [
        (Weather.CUT, 6),
        (Weather.BLACK_HOLE, 6),
        (Weather.RESET, 0),
        (Weather.SLOW, 6),
        (Weather.CUT, 60),
    ],
)
async def test_an_agent_goes_on_while_the_cluster_is_away(
    backend: KubernetesBackend, proxy: FaultProxy, base: Path, weather: Weather, seconds: int
) -> None:
    spec = await begun(backend, base, 12 + seconds)
    proxy.turn(weather)
    await asyncio.sleep(seconds)
    proxy.turn(Weather.CLEAR)
    await goes_on(backend, spec, 12 + seconds)


@pytest.mark.parametrize("after", [0.0, 0.5, 3.0, 6.0])
async def test_a_sandbox_is_made_once_however_the_cluster_comes_and_goes(
    backend: KubernetesBackend, proxy: FaultProxy, base: Path, after: float
) -> None:
    assert await backend.list() == []
    spec = spec_of(token=TOKEN)
    making = asyncio.create_task(backend.create(spec, base))
    await asyncio.sleep(after)
    for weather in (Weather.RESET, Weather.CUT):
        proxy.turn(weather)
        await asyncio.sleep(AWAY_SECONDS)
        assert after or not making.done()  # later it may have been made already
    proxy.turn(Weather.CLEAR)
    await asyncio.wait_for(making, 120)
    phase = bash("agent", "echo here", network="door")
    assert (await run(backend, spec.id, phase)).exit_code == 0
    assert await asyncio.to_thread(pods_made, spec.id) == 1
    assert await backend.list() == [spec.id]
    proxy.turn(Weather.CUT)
    going = asyncio.create_task(backend.destroy(spec.id))
    await asyncio.sleep(AWAY_SECONDS / 2)
    proxy.turn(Weather.CLEAR)
    await asyncio.wait_for(going, 120)
    assert await backend.list() == []


async def test_a_cluster_that_never_answered_is_said_at_once(
    platform: str, proxy: FaultProxy, tmp_path: Path, base: Path
) -> None:
    proxy.turn(Weather.CUT)
    backend = cluster.backend(platform, kubeconfig=cluster.through_port(proxy.port, tmp_path))
    with pytest.raises(SandboxError, match="The cluster does not answer"):
        await asyncio.wait_for(backend.create(spec_of(), base), 60)


class Hasty(Cluster):
    """A cluster whose watches end every second."""

    begun = 0

    @override
    def lines(self, path: str, query: Any, **more: Any) -> Any:
        type(self).begun += 1
        short = [
            ("timeoutSeconds", "1") if key == "timeoutSeconds" else (key, value)
            for key, value in query
        ]
        return super().lines(path, short, **more)


async def test_a_watch_that_ends_every_second(platform: str, base: Path) -> None:
    backend = cluster.backend(platform, through=Hasty)
    spec = await begun(backend, base, 12)
    await goes_on(backend, spec, 12)
    await backend.destroy(spec.id)
    assert await backend.list() == []
    assert Hasty.begun > 5


class Listed(Cluster):
    """A cluster whose lists of pods are counted, and which may have forgotten our version till the next."""

    lists = 0
    forgot = False

    @override
    async def call(self, method: str, path: str, **more: Any) -> Object:
        found = await super().call(method, path, **more)
        if (method, path.rpartition("/")[2]) == ("GET", "pods"):
            type(self).lists += 1
            type(self).forgot = False
        return found

    @override
    def lines(self, path: str, query: Any, **more: Any) -> Any:
        if self.forgot:
            query = [(key, "1" if key == "resourceVersion" else value) for key, value in query]
        return super().lines(path, query, **more)


async def test_the_api_server_restarts_and_has_forgotten_where_we_were(
    platform: str, base: Path
) -> None:
    backend = cluster.backend(platform, through=Listed)
    spec = await begun(backend, base, 30)
    Listed.forgot = True  # a server that restarts may still know it, and a version of 1 none does
    await asyncio.to_thread(cluster.stack, "kill", "kubernetes.apiserver")
    await asyncio.to_thread(cluster.stack, "up", "--keep", "kubernetes")
    await goes_on(backend, spec, 30)
    selector = f"codexsys.dev/sandbox={spec.id}"
    await asyncio.to_thread(kubectl, "-n", NAMESPACE, "delete", "pod", "-l", selector)
    with pytest.raises(SandboxError) as error:
        await until_lost(backend, spec)
    assert error.value.code == "sandbox_lost"
    await backend.destroy(spec.id)
    assert Listed.lists == 2  # 410 Gone: listed anew, once


async def until_lost(backend: KubernetesBackend, spec: SandboxSpec) -> None:
    """Look for a sandbox until there is none, as the new watch has to tell."""
    async with asyncio.timeout(20):
        while True:
            await backend.create(spec, None)
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("part", ["kubelet", "containerd", "controllers", "etcd"])
async def test_a_part_of_the_cluster_restarts(platform: str, base: Path, part: str) -> None:
    backend = cluster.backend(platform)
    spec = await begun(backend, base, 25)
    await asyncio.to_thread(cluster.stack, "kill", f"kubernetes.{part}")
    await asyncio.to_thread(cluster.stack, "up", "--keep", "kubernetes")
    await goes_on(backend, spec, 25)
    await backend.destroy(spec.id)
    assert await backend.list() == []
