"""The images as an operator builds them, from this tree, on the base image that is there."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from tests.support.distributed import required

from codexsys_wiring.settings import PREFIX, Settings

REPOSITORY = Path(__file__).parents[2]
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SERVICES, AGENT, BASE = "codexsys:built", "codexsys/agent:built", "codexsys/base:built"
TOOLS = ("python3", "pip3", "node", "npm", "go", "rustc", "cargo", "git", "gcc", "make", "rg", "jq")


def docker(*words: str, feed: bytes | None = None, check: bool = True) -> str:
    argv = ["docker", "--host", required("CODEXSYS_TEST_DOCKER_HOST"), *words]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        argv, input=feed, env=environment, cwd=REPOSITORY, capture_output=True, check=False
    )
    assert not check or done.returncode == 0, (done.stdout[-3000:] + done.stderr[-1000:]).decode()
    return (done.stdout + done.stderr).decode()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the stack's base with the certificates that this machine trusts: mirrors may need them."""
    folder = tmp_path_factory.mktemp("base")
    (folder / "authorities").write_bytes(AUTHORITIES.read_bytes())
    lines = [f"FROM {required('CODEXSYS_TEST_IMAGE')}", f"COPY authorities {AUTHORITIES}"]
    (folder / "Dockerfile").write_text("\n".join(lines))
    docker("build", "-t", BASE, str(folder))
    return BASE


def build(name: str, dockerfile: str, context: str, base: str) -> str:
    index = os.environ.get("PIP_INDEX_URL")
    arguments = [f"BASE={base}", "REVISION=0123abc"]
    arguments += [f"PIP_INDEX_URL={index}"] if index and "services" in dockerfile else []
    given = [word for argument in arguments for word in ("--build-arg", argument)]
    file = f"deploy/images/{dockerfile}"
    docker("build", "--network", "host", "-f", file, "-t", name, *given, context)
    return name


@pytest.fixture(scope="module")
def services(base: str) -> Iterator[str]:
    yield build(SERVICES, "services.Dockerfile", ".", base)
    docker("rmi", "--force", SERVICES)


@pytest.fixture(scope="module")
def agent(base: str) -> Iterator[str]:
    yield build(AGENT, "agent.Dockerfile", "deploy/images", base)
    docker("rmi", "--force", AGENT)


def config_of(image: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(docker("image", "inspect", image))[0]["Config"]
    return config


@pytest.mark.docker
@pytest.mark.timeout(1800)
class TestBuilt:
    @pytest.mark.parametrize("which", ["services", "agent"])
    def test_how_it_is_marked(self, request: pytest.FixtureRequest, which: str) -> None:
        config = config_of(request.getfixturevalue(which))
        assert config["User"] == "10001:10001"
        assert config["Healthcheck"]["Test"][0] == "CMD"
        labels = config["Labels"]
        assert labels["org.opencontainers.image.revision"] == "0123abc"
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"
        assert labels["org.opencontainers.image.title"].startswith("codexsys")

    def test_the_services_image_serves_and_is_healthy(self, services: str) -> None:
        held = ("--read-only", "--tmpfs", "/tmp", "--tmpfs", "/var/lib/codexsys:uid=10001")
        own = ("-e", "CODEXSYS_SANDBOX=dummy", "--cap-drop", "ALL")
        name = docker("run", "--detach", *held, *own, services, "up").strip()
        try:
            end = time.monotonic() + 90
            while (state := health(name)) != "healthy":
                assert time.monotonic() < end, f"{state}: {docker('logs', name)}"
                time.sleep(0.5)
        finally:
            docker("rm", "--force", name)

    def test_the_agents_image_has_tools_and_nothing_of_ours(self, agent: str) -> None:
        script = "for tool; do command -v $tool || exit 1; done; find / -xdev -perm /6000 -type f 2>/dev/null; python3 -c 'import aiokafka'"
        said = docker("run", "--rm", agent, "bash", "-c", script, "x", *TOOLS, check=False)
        lines = said.splitlines()
        assert [line.rpartition("/")[2] for line in lines[: len(TOOLS)]] == list(TOOLS), said
        assert "ModuleNotFoundError" in lines[-1]
        assert not any("/" in line for line in lines[len(TOOLS) :] if not line.startswith(" ")), (
            said
        )
        assert "codexsys" not in docker("run", "--rm", agent, "ls", "-R", "/opt", "/usr/local")


def health(container: str) -> str:
    state: dict[str, Any] = json.loads(docker("inspect", container))[0]["State"]
    assert state["Running"], docker("logs", container)
    status: str = state["Health"]["Status"]
    return status


COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())


def test_compose_builds_what_is_there() -> None:
    built = [each["build"] for each in COMPOSE["services"].values() if "build" in each]
    assert built
    for each in built:
        assert (REPOSITORY / each["context"] / each["dockerfile"]).is_file()


def test_compose_sets_what_are_settings() -> None:
    for each in COMPOSE["services"].values():
        for name in each.get("environment", {}):
            known = name.removeprefix(PREFIX).lower() in Settings.model_fields
            assert known or not name.startswith(PREFIX), name


def test_compose_waits_for_parts_that_are_there() -> None:
    services = COMPOSE["services"]
    for each in services.values():
        assert set(each.get("depends_on", {})) <= set(services)
        for volume in each.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_no_index_in_what_images_are_made_of() -> None:
    for path in (REPOSITORY / "deploy/images").iterdir():
        assert not re.search(r"https?://(?!127\.0\.0\.1)", path.read_text()), path
