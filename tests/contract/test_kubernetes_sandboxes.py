"""What only pods have: admission, a cluster's own reasons, and what is left of them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sandboxes import LIMITS, bash, heard, opened, run, said, spec_of
from tests.contract.servers import IMAGE, SMALL_IMAGE, must_have
from tests.support import cluster
from tests.support.cluster import NAMESPACE, kubectl
from typing_extensions import override

from codexsys_adapters.kubernetes import manifest
from codexsys_adapters.kubernetes.backend import KubernetesBackend
from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.manifest import Wanted
from codexsys_adapters.kubernetes.site import Object, Site
from codexsys_core.environment import EnvironmentService
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import PhaseEnd, PhaseSpec, SandboxRole
from codexsys_wiring.self_test import self_test

pytestmark = pytest.mark.kubernetes

TOKEN = "sbt-of-this-sandbox"
WORDS = EnvironmentService(name="words", image="someones/server:3", port=5432)
KINDS = "jobs,pods,secrets,configmaps"


@pytest.fixture
def make(platform: str) -> Callable[..., KubernetesBackend]:
    return lambda **more: cluster.backend(platform, **more)


@pytest.fixture
async def backend(
    make: Callable[..., KubernetesBackend], platform: str
) -> AsyncIterator[KubernetesBackend]:
    async with opened(make()) as made:
        yield made
    assert left_of(platform) == []


def left_of(platform: str) -> list[str]:
    """Return what the cluster still has of a platform."""
    selector = f"codexsys.dev/platform={platform}"
    return kubectl("-n", NAMESPACE, "get", KINDS, "-l", selector, "-o", "name").split()


async def test_every_phase_of_an_agents_sandbox(backend: KubernetesBackend, base: Path) -> None:
    spec = spec_of(token=TOKEN)
    told: list[str] = []
    await backend.create(spec, base, progress=told.append)
    phases = [
        bash("workspace", "echo one > x; ls /app/base.git"),
        bash("setup", "cat x; echo two >> x", network="public"),
        bash("collect-setup", "cat x; ! touch x", workspace="sealed"),
        bash("agent", "cat x; env; cat /proc/mounts; ls /run/codexsys", network="door"),
        bash("collect", "cat x; ! touch /app/output/x", workspace="sealed", output="binary"),
    ]
    texts = {}
    for phase in phases:
        end = await run(backend, spec.id, phase)
        texts[phase.name] = (await said(backend, spec.id, phase.name)).decode()
        assert end == PhaseEnd(exit_code=int(phase.name == "agent") * 2), (phase.name, texts)
    assert told[-1].startswith("== image sha256:"), told
    assert "HEAD" in texts["workspace"]
    assert texts["collect"] == "one\ntwo\n"
    assert TOKEN not in "".join(texts.values())
    assert "KUBERNETES" not in texts["agent"]


async def test_the_cluster_admits_all_but_the_rules_as_restricted(platform: str) -> None:
    strict = {"kind": "Namespace", "apiVersion": "v1"}
    strict["metadata"] = {  # type: ignore[assignment]
        "name": platform,
        "labels": {"pod-security.kubernetes.io/enforce": "restricted"},
    }
    kubectl("create", "-f", "-", feed=json.dumps(strict))
    try:
        site = Site(platform=platform, namespace=platform, tools=cluster.tools())
        pod = manifest.pod(
            site, Wanted(spec_of(token=TOKEN, services=(WORDS,)), must_have(IMAGE), 123_456)
        )
        whole = json.dumps(described(platform, pod))
        with pytest.raises(AssertionError, match=r"rules-closed.*NET_ADMIN|NET_ADMIN"):
            kubectl("create", "--dry-run=server", "-f", "-", feed=whole)
        for kind in ("initContainers", "containers"):
            pod[kind] = [each for each in pod[kind] if not each["name"].startswith("rules-")]
        kubectl("create", "--dry-run=server", "-f", "-", feed=json.dumps(described(platform, pod)))
    finally:
        kubectl("delete", "namespace", platform, "--wait=false")


def described(name: str, pod: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": name}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod}


class Counted(Cluster):
    """A cluster of which every call but a stream is noted."""

    calls: list[str] = []  # noqa: RUF012 - of the one test that has it

    @override
    async def call(self, method: str, path: str, **more: Any) -> Object:
        self.calls.append(f"{method} {path.split('/')[-1 if method == 'POST' else -2]}")
        return await super().call(method, path, **more)


async def test_calls_of_a_sandboxs_life(platform: str, base: Path) -> None:
    backend = cluster.backend(platform, through=Counted)
    spec = spec_of(token=TOKEN)
    await backend.create(spec, base)
    for phase in (bash("agent", "echo here", network="door"), bash("next", "true")):
        assert (await run(backend, spec.id, phase)).exit_code == 0
    await backend.destroy(spec.id)
    calls = sorted(call for call in Counted.calls if not call.startswith("GET"))
    assert calls == ["DELETE jobs", "PATCH jobs", "POST jobs", "POST secrets"]
    assert len(Counted.calls) == 4 + 1  # and the list of all pods, once for all sandboxes


async def test_a_pod_that_is_deleted_from_outside(backend: KubernetesBackend, base: Path) -> None:
    spec = spec_of(token=TOKEN)
    await backend.create(spec, base)
    await backend.start(spec.id, bash("agent", "echo here; sleep 300", network="door"))
    await heard(backend, spec.id, "agent", b"here\n")
    selector = f"codexsys.dev/sandbox={spec.id}"
    kubectl("-n", NAMESPACE, "delete", "pod", "-l", selector, "--wait=false")
    end = await asyncio.wait_for(backend.wait(spec.id, "agent"), 60)
    assert (end.reason, "pod" in end.detail) == ("sandbox_lost", True)
    with pytest.raises(SandboxError) as error:
        await backend.start(spec.id, bash("next", "true"))
    assert error.value.code == "sandbox_lost"


async def test_the_self_test_finds_no_wall_that_does_not_hold(
    backend: KubernetesBackend,
) -> None:
    found = await self_test(backend)
    assert [trial for trial in found if trial.state == "broken"] == []
    assert {trial.name for trial in found if trial.state == "lacks"} == {"limits"}


async def test_nowhere_to_run(make: Callable[..., KubernetesBackend], base: Path) -> None:
    backend = make(node_selector={"no": "such-node"}, start_seconds=3)
    spec = spec_of()
    told: list[str] = []
    with pytest.raises(SandboxError, match="didn't match Pod's node affinity/selector"):
        await backend.create(spec, base, progress=told.append)
    assert any("waiting for room" in line for line in told)
    await backend.destroy(spec.id)
    assert await backend.list() == []


@pytest.mark.parametrize(
    ("image", "code"),
    [("no/Such Image", "image_not_found"), ("127.0.0.1:9/none:1", "sandbox_failed")],
)
async def test_an_image_that_cannot_be_had(
    backend: KubernetesBackend, base: Path, image: str, code: str
) -> None:
    spec = spec_of(image=image)
    with pytest.raises(SandboxError) as error:
        await asyncio.wait_for(backend.create(spec, base), 90)
    assert error.value.code == code, error.value.message
    assert "Image" in error.value.message


async def test_an_image_without_python_git_bash_and_glibc(
    backend: KubernetesBackend, base: Path
) -> None:
    spec = spec_of(image=must_have(SMALL_IMAGE))
    await backend.create(spec, base)
    await run(backend, spec.id, PhaseSpec(name="musl", argv=("hello",), seconds=30))
    assert await said(backend, spec.id, "musl") == b"said by musl\n"
    code = "import json, ssl, subprocess as s; print(s.run(['git', '--version'], capture_output=True, text=True).stdout)"
    argv = ("codexsys-python", "-c", code)
    await run(backend, spec.id, PhaseSpec(name="agent", argv=argv, seconds=30))
    assert (await said(backend, spec.id, "agent")).startswith(b"git version")


async def test_an_online_phase_comes_first_or_not_at_all(
    backend: KubernetesBackend, base: Path
) -> None:
    spec = spec_of(role=SandboxRole.VERIFY, limits=LIMITS)
    await backend.create(spec, base)
    sealed = bash("collect", "true", workspace="sealed")
    assert (await run(backend, spec.id, sealed)).exit_code == 0
    late = await run(backend, spec.id, bash("setup", "true", network="public"))
    assert (late.reason, "closed for good" in late.detail) == ("sandbox_failed", True)
    assert (await run(backend, spec.id, bash("checks", "true"))).exit_code == 0
