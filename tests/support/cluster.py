"""Sandboxes on the real cluster of tests: its namespace, the image of our own containers, backends."""

import json
import secrets
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.contract.servers import IMAGE, KUBECONFIG, KUBECTL, must_have

from codexsys_adapters.kubernetes.backend import KubernetesBackend
from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.manifest import name_of
from codexsys_adapters.kubernetes.site import Site
from codexsys_adapters.kubernetes.tools import write

REPOSITORY = Path(__file__).parents[2]
NAMESPACE = "codexsys-sandboxes"
_NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {
        "name": NAMESPACE,
        "labels": {"pod-security.kubernetes.io/enforce": "privileged"},
    },
}


def kubectl(*words: str, feed: str = "") -> str:
    """Run kubectl against the cluster of tests."""
    command = [must_have(KUBECTL), "--kubeconfig", must_have(KUBECONFIG), *words]
    ran = subprocess.run(command, input=feed, check=False, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def backend(
    platform: str,
    *,
    through: type[Cluster] = Cluster,
    kubeconfig: Path | None = None,
    **more: Any,
) -> KubernetesBackend:
    """Return a backend of one platform in the cluster; `more` are fields of its site."""
    site = {"platform": platform, "namespace": namespace(), "tools": tools()} | more
    reached = through(kubeconfig or Path(must_have(KUBECONFIG)))
    return KubernetesBackend(reached, Site(**site), image=must_have(IMAGE))


def server() -> tuple[str, int]:
    """Return where the API server listens."""
    found = urlsplit(_kubeconfig()["clusters"][0]["cluster"]["server"])
    return str(found.hostname), int(found.port or 443)


def through_port(port: int, folder: Path) -> Path:
    """Return a kubeconfig that reaches the API server through a port of loopback."""
    made = _kubeconfig()
    made["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
    (folder / "kubeconfig").write_text(json.dumps(made))
    return folder / "kubeconfig"


def _kubeconfig() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    return found


def pods_made(sandbox_id: str, *, of: str = NAMESPACE) -> int:
    """Return how many pods the cluster ever made for a sandbox."""
    about = f"reason=SuccessfulCreate,involvedObject.name={name_of(sandbox_id)}"
    told = json.loads(kubectl("-n", of, "get", "events", "--field-selector", about, "-o", "json"))
    return sum(int(event.get("count") or 1) for event in told["items"])


@cache
def namespace() -> str:
    """Make the namespace of sandboxes, once."""
    kubectl("apply", "-f", "-", feed=json.dumps(_NAMESPACE))
    return NAMESPACE


def settings() -> dict[str, str]:
    """Return the settings of a platform whose sandboxes are in the cluster."""
    return {
        "CODEXSYS_SANDBOX": "kubernetes",
        "CODEXSYS_KUBERNETES_CONFIG": must_have(KUBECONFIG),
        "CODEXSYS_KUBERNETES_NAMESPACE": namespace(),
        "CODEXSYS_KUBERNETES_TOOLS": tools(),
        "CODEXSYS_SANDBOX_IMAGE": must_have(IMAGE),
        "CODEXSYS_GATEWAY_HOST": "0.0.0.0",
    }


def stack(*words: str) -> None:
    """Let the servers of tests do something: `kill`, `up --keep`."""
    program = str(REPOSITORY / "tests/stack/stack")
    subprocess.run([program, *words], check=True, capture_output=True)


@cache
def tools() -> str:
    """Make the image of our own containers and load it into the cluster, once."""
    name = f"codexsys/tools:{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder, "tools.tar")
        write(name, archive)
        stack("load", str(archive))
    return name
