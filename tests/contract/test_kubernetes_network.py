"""A pod whose rules are not what they should be: nothing of the task runs in it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.sandboxes import bash, run, spec_of
from tests.contract.servers import NODE, must_have
from tests.support import cluster
from typing_extensions import override

from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.site import Object
from codexsys_core.sandbox import PhaseSpec

pytestmark = pytest.mark.kubernetes

Edit = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]


def without_any(containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in containers if not each["name"].startswith("rules-")]


def without_the_last(containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in containers if each["name"] != "rules-locked"]


def for_another_user(containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let the agent's user through to the gateway, in the place of the door's."""
    agent = next(each for each in containers if each["name"] == "workspace")
    user = agent["securityContext"]["runAsUser"]
    rules = next(each for each in containers if each["name"] == "rules-locked")
    rules["command"][-1] = rules["command"][-1].replace('"user": 20001', f'"user": {user}')
    return containers


def changed(edit: Edit) -> type[Cluster]:
    """Return a cluster in which every Job is made with other init containers."""

    class Changed(Cluster):
        @override
        async def call(self, method: str, path: str, **more: Any) -> Object:
            if method == "POST" and path.endswith("/jobs"):
                pod = more["body"]["spec"]["template"]["spec"]
                pod["initContainers"] = edit(pod["initContainers"])
            return await super().call(method, path, **more)

    return Changed


@pytest.mark.parametrize(
    ("edit", "earlier", "found"),
    [
        (without_any, [], "udp 1.1.1.1 53"),
        (without_the_last, [bash("setup", "true", network="public")], "udp 1.1.1.1 53"),
        (for_another_user, [], "tcp {node} 9"),
    ],
)
async def test_nothing_runs_where_the_network_is_open(
    platform: str, base: Path, edit: Edit, earlier: list[PhaseSpec], found: str
) -> None:
    node = must_have(NODE)
    gateways, allow = (f"http://{node}:9",), (f"{node}/32:9",)
    backend = cluster.backend(platform, through=changed(edit), gateways=gateways, allow=allow)
    spec = spec_of(token="sbt-of-this-sandbox")
    await backend.create(spec, base)
    try:
        for phase in earlier:
            assert (await run(backend, spec.id, phase)).exit_code == 0
        for name in ("agent", "again"):
            end = await run(backend, spec.id, bash(name, "touch /app/code/ran", network="door"))
            assert end.reason == "network_open"
            assert found.format(node=node) in end.detail
            assert await backend.output(spec.id, name, 0) == b""
    finally:
        await backend.destroy(spec.id)
