"""The images as an operator builds them, from this tree, on the base image that is there."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from tests.support.distributed import required
from tests.support.foreground import LOCAL, SNOOP
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.images import build, docker, trusting_base
from tests.support.model_server import ModelServer
from tests.support.place import FINISH, bash

from codexsys_wiring.settings import PREFIX, Settings

REPOSITORY = Path(__file__).parents[2]
SERVICES, AGENT = "codexsys:built", "codexsys/agent:built"
KEY, TOKEN = "sk-model-key-91c2", "glpat-word-of-ada"
OPENED = ("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined")
TOOLS = ("python3", "pip3", "node", "npm", "go", "rustc", "cargo", "git", "gcc", "make", "rg", "jq")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    return trusting_base(tmp_path_factory.mktemp("base"))


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

    def test_a_run_without_a_sandbox_says_what_helps_or_that_there_was_none(
        self, services: str, tmp_path: Path
    ) -> None:
        """Against a private repository: refused as it is, isolated with flags, bare when that is said."""
        make_repository(tmp_path / "shop", {"README.md": "one\n"})
        with GitHttpServer(tmp_path, user="ada", password=TOKEN) as git, ModelServer() as models:
            models.scripts["small"] = [bash(SNOOP), bash("echo two >> README.md"), FINISH]
            variables = {
                "REPO_URL": git.url("shop"),
                "TASK_INTENT": "Add a line",
                "OPENAI_BASE_URL": models.url("script"),
                "OPENAI_API_KEY": KEY,
                "OPENAI_MODEL": "small",
                "GITLAB_API_TOKEN": TOKEN,
                "GIT_USERNAME": "ada",
                "MAX_ITERATIONS": "1",
                "WORKSPACE_DIR": "/tmp/out",
            }
            code, said, _ = run_in(services, (), ("--allow-http",), variables)
            assert code == 1, said
            assert "sandbox_unavailable" in said
            assert "--security-opt seccomp=unconfined" in said
            assert "--sandbox none" in said
            code, said, result = run_in(services, OPENED, (), variables)
            assert (code, result.get("isolated"), result.get("sandbox")) == (0, True, "local"), said
            models.calls.clear()
            bare = ("--sandbox", "none", "--checks", "grep -q two README.md")
            code, said, result = run_in(services, as_in_the_job(), bare, variables)
            assert (code, result.get("isolated"), result.get("sandbox")) == (0, False, "none"), said
            assert (result["verdict"], result["diff"]["insertions"]) == ("unverified", 1)
            heard = json.dumps(models.asked)
            assert "emoh/ppa/=EMOH" in heard  # the agent has looked, and wrote backwards
            assert not [each for each in (KEY, TOKEN) if each in heard or each[::-1] in heard]
            told = variables | {"GITLAB_API_TOKEN": ""}
            order = json.dumps({"gitlab_api_token": TOKEN})
            code, said, _ = run_in(services, ("--user", "0:0"), (*bare[:2], order), told)
            assert (code, "secret_shown" in said) == (2, True), said

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


def as_in_the_job() -> list[str]:
    """Return what makes a container as bare as the pod of deploy/kubernetes/run."""
    job = yaml.safe_load((REPOSITORY / "deploy/kubernetes/run/job/job.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    held = container["securityContext"]
    flags = [
        "--user",
        f"{held['runAsUser']}:{held['runAsGroup']}",
        "--read-only",
        "--cap-drop",
        "ALL",
    ]
    flags += ["--security-opt", "no-new-privileges"]
    for name in held["capabilities"]["add"]:
        flags += ["--cap-add", name]
    for mount in container["volumeMounts"]:
        flags += ["--tmpfs", mount["mountPath"]]
    return flags


def run_in(
    image: str, flags: Sequence[str], words: Sequence[str], variables: Mapping[str, str]
) -> tuple[int, str, dict[str, Any]]:
    """Run `codexsys run` in a new container; return its code, standard error and result."""
    given = [word for name in variables for word in ("-e", name)]
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables}
    argv = ["docker", "--host", required("CODEXSYS_TEST_DOCKER_HOST"), "run", "--rm", *flags]
    done = subprocess.run(
        [*argv, "--network", "host", *given, image, "run", *LOCAL, *words],
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stderr.decode(), json.loads(done.stdout or b"{}")


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
            assert volume.startswith("/") or volume.partition(":")[0] in COMPOSE["volumes"]


def test_compose_waits_for_what_can_say_that_it_is_well() -> None:
    services = COMPOSE["services"]
    for each in services.values():
        for name, wanted in each.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in services[name] or "build" in services[name]  # the image's


def test_what_compose_asks_for_is_in_the_example() -> None:
    text = (REPOSITORY / "docker-compose.yml").read_text()
    asked = set(re.findall(r"(?<!\$)\$\{(\w+):", text)) - {"BASE"}
    example = (REPOSITORY / ".env.example").read_text().splitlines()
    assert asked == {line.partition("=")[0] for line in example if line and line[0] != "#"}


def test_no_index_in_what_images_are_made_of() -> None:
    for path in (REPOSITORY / "deploy/images").iterdir():
        assert not re.search(r"https?://(?!127\.0\.0\.1)", path.read_text()), path
