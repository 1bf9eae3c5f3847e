"""`codexsys k8s-run` in a namespace of tests' cluster, as a user starts it."""

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from tests.contract.servers import KUBECONFIG, must_have
from tests.support.cluster import kubectl

SECONDS = 90.0


class Team:
    """One namespace, and runs in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.home = Path(must_have(KUBECONFIG))

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        given = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": str(self.home)}
        argv = ["codexsys", "k8s-run", "--namespace", self.name, *words]
        return subprocess.Popen(argv, env=given, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *words: str) -> tuple[int, str, str]:
        """Return exit code, output, and what was said beside it."""
        return ended(self.begin(*words))

    def left(self) -> list[str]:
        return kubectl("-n", self.name, "get", "jobs,pods", "-o", "name").split()

    def apply(self, kind: str, name: str, api: str = "v1", **more: Any) -> None:
        meta = {"name": name, "namespace": self.name}
        kubectl(
            "apply",
            "-f",
            "-",
            feed=json.dumps({"apiVersion": api, "kind": kind, "metadata": meta, **more}),
        )


def ended(run: "subprocess.Popen[bytes]") -> tuple[int, str, str]:
    try:
        out, said = run.communicate(timeout=SECONDS)
    finally:
        run.kill()
    return run.returncode, out.decode(), said.decode()


def until(what: Callable[[], Any]) -> Any:
    end = time.monotonic() + SECONDS
    while not (found := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)
    return found


@contextmanager
def a_team() -> Iterator[Team]:
    """Make a namespace, and remove it."""
    name = f"team-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    made = Team(name)
    until(lambda: kubectl("-n", name, "get", "serviceaccount", "-o", "name").count("default"))
    yield made
    kubectl("delete", "namespace", name, "--wait=false")


def someone(team: Team, folder: Path) -> Team:
    """Return a user with the rights that docs/kubernetes.md names, and no other."""
    team.apply("ServiceAccount", "ada")
    rbac = "rbac.authorization.k8s.io/v1"
    page = (Path(__file__).parents[2] / "docs/kubernetes.md").read_text()
    (role,) = [
        found
        for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
        if (found := yaml.safe_load(block))["metadata"]["name"] == "codexsys-runs"
    ]
    team.apply("Role", "runs", rbac, rules=role["rules"])
    who = {"kind": "ServiceAccount", "name": "ada", "namespace": team.name}
    bound = {"kind": "Role", "name": "runs", "apiGroup": "rbac.authorization.k8s.io"}
    team.apply("RoleBinding", "runs", rbac, subjects=[who], roleRef=bound)
    token = kubectl("-n", team.name, "create", "token", "ada").strip()
    config = json.loads(kubectl("config", "view", "--raw", "-o", "json"))
    config["users"] = [{"name": "ada", "user": {"token": token}}]
    config["contexts"][0]["context"]["user"] = "ada"
    made = Team(team.name)
    made.home = folder / "config"
    made.home.write_text(json.dumps(config))
    return made
