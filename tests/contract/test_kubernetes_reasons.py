"""Why a cluster does not make a pod, or ends one: each its own reason, in the cluster's own words."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.sandboxes import bash, heard, spec_of
from tests.contract.servers import NODE, must_have
from tests.support import cluster
from tests.support.cluster import NAMESPACE, kubectl, pods_made
from tests.support.other_node import other_node
from tests.support.webhook import Rejecting

from codexsys_adapters.kubernetes.backend import KubernetesBackend
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import SandboxSpec

pytestmark = pytest.mark.kubernetes

TOKEN = "sbt-of-this-sandbox"


@pytest.fixture
async def backend(platform: str) -> AsyncIterator[KubernetesBackend]:
    made = cluster.backend(platform)
    yield made
    for name in await made.list():
        await made.destroy(name)


@pytest.fixture
def own(platform: str) -> Iterator[str]:
    """Make a namespace of our own, named like the platform."""
    kubectl("create", "namespace", platform)
    kubectl("wait", "-n", platform, "--for=create", "serviceaccount/default", "--timeout=20s")
    yield platform
    kubectl("delete", "namespace", platform, "--wait=false")


async def begun(backend: KubernetesBackend, base: Path) -> SandboxSpec:
    spec = spec_of(token=TOKEN)
    await backend.create(spec, base)
    await backend.start(spec.id, bash("agent", "echo here; sleep 100", network="door", seconds=110))
    await heard(backend, spec.id, "agent", b"here\n")
    return spec


async def name_of_pod(spec: SandboxSpec) -> str:
    words = ("get", "pod", "-l", f"codexsys.dev/sandbox={spec.id}", "-o", "name")
    return (await asyncio.to_thread(kubectl, "-n", NAMESPACE, *words)).strip()


async def test_evicted_by_somebody(backend: KubernetesBackend, base: Path) -> None:
    spec = await begun(backend, base)
    name = (await name_of_pod(spec)).removeprefix("pod/")
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction"}
    asked = eviction | {"metadata": {"name": name, "namespace": NAMESPACE}}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}/eviction"
    await asyncio.to_thread(kubectl, "create", "--raw", path, "-f", "-", feed=json.dumps(asked))
    end = await asyncio.wait_for(backend.wait(spec.id, "agent"), 30)
    assert end.reason == "sandbox_lost"
    assert "EvictionByEvictionAPI: Eviction API: evicting" in end.detail


async def test_evicted_for_its_disk(backend: KubernetesBackend, base: Path) -> None:
    spec = spec_of(token=TOKEN)
    await backend.create(spec, base)
    script = "for n in $(seq 4); do head -c 40M /dev/zero > big-$n; done; sleep 100"
    await backend.start(spec.id, bash("agent", script, network="door", seconds=110))
    end = await asyncio.wait_for(backend.wait(spec.id, "agent"), 100)
    assert (end.reason, end.detail[:8]) == ("disk_full", "Evicted:"), end


async def test_a_node_that_is_lost(platform: str, base: Path) -> None:
    backend = cluster.backend(platform, lost_seconds=3)
    with other_node():
        spec = await begun(backend, base)
        await asyncio.to_thread(cluster.stack, "kill", "kubernetes.kubelet")
        try:
            end = await asyncio.wait_for(backend.wait(spec.id, "agent"), 90)
        finally:
            await asyncio.to_thread(cluster.stack, "up", "--keep", "kubernetes")
    assert end.reason == "sandbox_lost"
    assert "DeletionByTaintManager" in end.detail
    assert await asyncio.to_thread(pods_made, spec.id) == 1
    await backend.destroy(spec.id)
    assert await backend.list() == []
    words = ("get", "pods", "-l", f"codexsys.dev/sandbox={spec.id}", "-o", "name")
    assert await asyncio.to_thread(kubectl, "-n", NAMESPACE, *words) == ""


@pytest.mark.parametrize("freed", [False, True])
async def test_a_namespace_that_is_full(own: str, base: Path, *, freed: bool) -> None:
    backend = cluster.backend(own, namespace=own, start_seconds=60 if freed else 8)
    kubectl("-n", own, "create", "quota", "none", "--hard=pods=0")
    spec, told = spec_of(), asyncio.Queue[str]()
    making = asyncio.create_task(backend.create(spec, base, progress=told.put_nowait))
    said = await asyncio.wait_for(told.get(), 30)
    assert "waiting for room in the namespace" in said
    assert "exceeded quota: none" in said
    if freed:
        kubectl("-n", own, "delete", "quota", "none")
        await making
    else:
        with pytest.raises(SandboxError, match="exceeded quota: none") as error:
            await making
        assert error.value.code == "sandbox_failed"
    await backend.destroy(spec.id)


@pytest.mark.parametrize(("group", "kind"), [("", "pods"), ("batch", "jobs"), ("", "secrets")])
async def test_a_webhook_that_rejects(
    own: str, base: Path, tmp_path: Path, group: str, kind: str
) -> None:
    backend = cluster.backend(own, namespace=own)
    spec = spec_of(token=TOKEN)
    host = must_have(NODE)
    with Rejecting(tmp_path, host, namespace=own, group=group, kind=kind):
        with pytest.raises(SandboxError, match="not on a Sunday") as error:
            await asyncio.wait_for(backend.create(spec, base), 60)
        assert error.value.code == "sandbox_failed"
        await backend.destroy(spec.id)
    assert await backend.list() == []


async def test_a_namespace_that_is_not_there(platform: str, base: Path) -> None:
    backend = cluster.backend(platform, namespace=f"{platform}-none")
    with pytest.raises(SandboxError, match=r"The cluster refused: namespaces .* not found"):
        await backend.create(spec_of(), base)
