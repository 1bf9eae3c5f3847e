"""Servers beside a pod's phases: there once the network is locked, and named when they cannot be."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sandboxes import bash, opened, run, said, spec_of
from tests.contract.servers import IMAGE, must_have
from tests.support import cluster

from codexsys_adapters.kubernetes.backend import KubernetesBackend
from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.site import Site
from codexsys_core.environment import EnvironmentService
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import PhaseEnd, SandboxRole

pytestmark = pytest.mark.kubernetes

SERVE = """
import http.server as h, json, os, socket
os.chdir("/run")
told = {name: value for name, value in os.environ.items() if value}
keeper = socket.socket(socket.AF_UNIX)
keeper.connect("\\0codexsys-keeper")
keeper.sendall(b'{"name": "agent"}\\n')
json.dump({"env": told, "heard": keeper.recv(9).decode(), "user": os.getuid()}, open("told", "w"))
h.test(h.SimpleHTTPRequestHandler, port=5432, bind="127.0.0.1")
"""
"""A server that first tries to be one of the platform's own."""
ASKED = (
    "exec 3<>/dev/tcp/127.0.0.1/5432; printf 'GET /told HTTP/1.0\\r\\n\\r\\n' >&3; tail -n 1 <&3"
)


def service(**more: Any) -> EnvironmentService:
    given = {"name": "words", "image": must_have(IMAGE), "port": 5432}
    given |= {"command": ("python3", "-c", SERVE), "variables": {"WORD": "$(NODE) $HOME"}}
    return EnvironmentService(**(given | more))


@pytest.fixture
async def backend(platform: str) -> AsyncIterator[KubernetesBackend]:
    async with opened(cluster.backend(platform)) as made:
        yield made


async def test_beside_the_agent_and_not_beside_setup(
    backend: KubernetesBackend, base: Path
) -> None:
    spec = spec_of(services=(service(),), token="sbt-of-this-sandbox")
    await backend.create(spec, base)
    early = await run(backend, spec.id, bash("setup", ASKED, network="public"))
    assert early.exit_code == 1
    assert await run(backend, spec.id, bash("agent", ASKED, network="door")) == PhaseEnd(
        exit_code=0
    )
    told = json.loads(await said(backend, spec.id, "agent"))
    assert told["env"]["WORD"] == "$(NODE) $HOME"
    assert told["heard"] == ""
    assert told["user"] >= 100_000
    assert "10.249.0." not in str(told["env"])
    collect = bash("collect", "true", workspace="sealed")
    assert (await run(backend, spec.id, collect)).exit_code == 0


async def test_beside_the_checks(backend: KubernetesBackend, base: Path) -> None:
    spec = spec_of(services=(service(),), role=SandboxRole.VERIFY)
    await backend.create(spec, base)
    assert (await run(backend, spec.id, bash("workspace", ASKED))).exit_code == 1
    assert (await run(backend, spec.id, bash("checks", ASKED))).exit_code == 0


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"image": "127.0.0.1:9/none:1"}, "service words: Image 127.0.0.1:9/none:1"),
        ({"command": ("sh", "-c", "echo no such word >&2; exit 3")}, "Error 3 no such word"),
    ],
)
async def test_one_that_cannot_be(
    backend: KubernetesBackend, base: Path, more: dict[str, Any], words: str
) -> None:
    spec = spec_of(services=(service(**more),), token="sbt-of-this-sandbox")
    await backend.create(spec, base)
    end = await run(backend, spec.id, bash("agent", "true", network="door"))
    assert end.reason == "sandbox_failed"
    assert words in end.detail


async def test_one_whose_image_is_not_allowed(base: Path) -> None:
    site = Site(platform="p", namespace=cluster.namespace(), tools="tools")
    made = KubernetesBackend(
        Cluster(None), site, image=must_have(IMAGE), allowed=(must_have(IMAGE),)
    )
    with pytest.raises(SandboxError, match="other/image:1") as error:
        await made.create(spec_of(services=(service(image="other/image:1"),)), base)
    assert error.value.code == "image_not_allowed"
