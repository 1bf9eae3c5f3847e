"""docker-compose.yml as an operator uses it: by Compose v2, on one host, with images made here."""

import json
import os
import secrets
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.servers import COMPOSE, must_have
from tests.support.images import REPOSITORY, build, docker, trusting_base
from tests.support.server_images import IMAGE, build_servers
from tests.support.users import TERMINAL, zipped

pytestmark = [pytest.mark.compose, pytest.mark.timeout(1500)]

FILES = {"prices.py": "def total(prices):\n    return sum(prices) - 1\n"}
BODY = {
    "prompt": "A codemod.",
    "engine": "command",
    "command": "sed -i 's/ - 1//' prices.py",
    "checks": {"strategy": "skip"},
}
SERVICES = {"api", "gateway", "relay", "worker", "mysql", "redis", "kafka", "minio"}


class Project:
    """The file, in a folder with its .env."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(REPOSITORY / "docker-compose.yml", folder)

    def fill_in(self) -> None:
        """Write .env from the example."""
        lines = (REPOSITORY / ".env.example").read_text().splitlines()
        filled = [
            line + secrets.token_hex(24) if line.endswith("=") and "MODEL" not in line else line
            for line in lines
        ]
        (self.folder / ".env").write_text("\n".join(filled))

    def compose(self, *words: str, check: bool = True) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        environment["DOCKER_HOST"] = must_have("CODEXSYS_TEST_DOCKER_HOST")
        done = subprocess.run(
            [must_have(COMPOSE), *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
        return done.stdout if check else done.stderr


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("compose"))


def test_compose_says_what_is_missing_and_takes_it_once_it_is_there(project: Project) -> None:
    assert ".env.example" in project.compose("config", "--quiet", check=False)
    project.fill_in()
    config = json.loads(project.compose("config", "--format", "json"))
    assert set(config["services"]) == SERVICES | {"migrate"}


@pytest.fixture(scope="module")
def up(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bring it up; return the API's address."""
    base = trusting_base(tmp_path_factory.mktemp("base"))
    names = [build("codexsys:local", "services.Dockerfile", ".", base), IMAGE]
    names += build_servers(base, tmp_path_factory.mktemp("servers"))
    project.fill_in()
    try:
        project.compose("up", "--detach", "--wait", "--no-build", "--pull", "never")
        yield "http://127.0.0.1:8080"
    finally:
        project.compose("down", "--volumes", "--timeout", "20")
        docker("rmi", "--force", *names)


def test_everything_comes_up_in_order_and_a_task_is_solved(project: Project, up: str) -> None:
    states = [json.loads(line) for line in project.compose("ps", "--format", "json").splitlines()]
    assert {each["Service"]: each["Health"] for each in states} == dict.fromkeys(
        SERVICES, "healthy"
    )
    started = {each["Service"]: started_at(each["ID"]) for each in states}
    assert max(started[name] for name in ("mysql", "redis", "kafka", "minio")) < started["api"]
    assert max(started["gateway"], started["relay"]) < started["worker"]
    codexsys = ("exec", "--no-TTY", "api", "codexsys")
    project.compose(*codexsys, "tenants", "create", "trial")
    made = json.loads(project.compose(*codexsys, "keys", "create", "--tenant", "trial", "--json"))
    task = solved(up, made["key"])
    logs = project.compose("logs", "worker", "--tail", "40")
    assert (task["status"], task["diff"]["deletions"]) == ("succeeded", 1), (task, logs)


def started_at(container: str) -> str:
    told: list[dict[str, Any]] = json.loads(docker("inspect", container))
    return str(told[0]["State"]["StartedAt"])


def solved(url: str, key: str) -> dict[str, Any]:
    """Submit a zip; return the task when it is over."""
    border = secrets.token_hex(8)
    parts = [
        f'--{border}\r\nContent-Disposition: form-data; name="task"\r\n'
        f"Content-Type: application/json\r\n\r\n{json.dumps(BODY)}\r\n".encode(),
        f'--{border}\r\nContent-Disposition: form-data; name="file"; filename="code.zip"\r\n'
        "Content-Type: application/zip\r\n\r\n".encode(),
        zipped(FILES),
        f"\r\n--{border}--\r\n".encode(),
    ]
    kind = {"Content-Type": f"multipart/form-data; boundary={border}"}
    task: dict[str, Any] = asked(f"{url}/api/v1/tasks", key, b"".join(parts), kind)
    end = time.monotonic() + 180
    while task["status"] not in TERMINAL:
        assert time.monotonic() < end, task
        time.sleep(0.5)
        task = asked(f"{url}/api/v1/tasks/{task['id']}", key)
    return task


def asked(
    url: str, key: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Any:
    given = {"Authorization": f"Bearer {key}"} | (headers or {})
    request = urllib.request.Request(url, data=body, headers=given)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
