"""deploy/kubernetes on a real cluster, as an operator applies it."""

import asyncio
import contextlib
import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
import yaml  # type: ignore[import-untyped]
from tests.contract.servers import IMAGE, NODE, must_have
from tests.support.cluster import NAMESPACE, kubectl
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.images import REPOSITORY, build, docker, trusting_base
from tests.support.k8s_runs import a_team, someone
from tests.support.model_server import ModelServer
from tests.support.place import FINISH, bash
from tests.support.receiver import Receiver
from tests.support.server_images import IMAGE as IMAGE_OF_ALL
from tests.support.server_images import build_servers
from tests.support.users import User, zipped

from codexsys_adapters.kubernetes.tools import write

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(1200)]

ROOT = REPOSITORY / "deploy/kubernetes"
TOKEN, SIGNING = "glpat-private-word", "whk-shared-secret"
DEPLOYMENTS = ("codexsys-api", "codexsys-gateway", "codexsys-worker", "codexsys-relay")
FILES = {"prices.py": "def total(prices):\n    return sum(prices) - 1\n"}
MEND = "sed -i 's/ - 1//' prices.py"
LONG = f"for n in $(seq 1 60); do echo line $n; sleep 1; done; {MEND}"
BODY = {"prompt": "A codemod.", "engine": "command", "checks": {"strategy": "skip"}}


def filled_in(folder: Path, *, secret: str = "change-me") -> Path:
    """Return a copy of it whose env files are those of the examples."""
    made = folder / "kubernetes"
    shutil.copytree(ROOT, made)
    for example in made.rglob("*.env.example"):
        lines = example.read_text().replace("change-me: 32 or more random characters", secret)
        example.with_suffix("").write_text(lines.replace("change-me", secret))
    return made


@pytest.mark.parametrize("name", ["local", "external", "autoscale"])
def test_an_overlay_is_built(name: str, tmp_path: Path) -> None:
    objects = list(
        yaml.safe_load_all(kubectl("kustomize", str(filled_in(tmp_path) / "overlays" / name)))
    )
    (workers,) = [
        each
        for each in objects
        if (each["kind"], each["metadata"]["name"]) == ("Deployment", "codexsys-worker")
    ]
    assert ("replicas" in workers["spec"]) is (name != "autoscale")
    (container,) = workers["spec"]["template"]["spec"]["containers"]
    read = [next(iter(source.values()))["name"] for source in container["envFrom"]]
    there = {each["metadata"]["name"] for each in objects}
    assert set(read) <= there
    assert all(each.startswith("codexsys-") for each in read)  # a new name with each new content


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Build every image that the overlay names, and bring them to the node."""
    base = trusting_base(tmp_path_factory.mktemp("base"))
    names = [build("codexsys:local", "services.Dockerfile", ".", base)]
    names += build_servers(base, tmp_path_factory.mktemp("servers"))
    names.append("codexsys/agent:local")
    docker("tag", base, names[-1])
    with tempfile.TemporaryDirectory() as folder:
        docker("save", "-o", f"{folder}/images.tar", *names)
        write("codexsys/tools:local", Path(folder, "tools.tar"))
        stack = str(REPOSITORY / "tests/stack/stack")
        archives = [f"{folder}/images.tar", f"{folder}/tools.tar"]
        subprocess.run([stack, "load", *archives], check=True, capture_output=True)
    yield
    docker("rmi", "--force", *names, IMAGE_OF_ALL)


def test_a_run_from_within_a_pod_is_its_service_accounts(images: None, tmp_path: Path) -> None:
    """`codexsys k8s-run` in a pod that `codexsys k8s-run` made: there is no kubeconfig in it."""
    with a_team() as team:
        someone(team, tmp_path)
        inner = ["k8s-run", must_have(IMAGE), "--", "sh", "-c", "echo inner; exit 7"]
        account = ["--service-account", "ada", "--entrypoint", "codexsys"]
        code, out, said = team.run("codexsys:local", *account, "--", *inner)
        assert (code, out.splitlines()[-1]) == (7, "inner"), said
        assert f"in {team.name}" in out  # the inner one's words: it knows its namespace by itself


@pytest.mark.parametrize("kind", ["job", "cronjob"])
def test_one_task_as_a_job_and_by_a_cron_job(images: None, kind: str, tmp_path: Path) -> None:
    with Outside(tmp_path) as outside, a_team() as team:
        kubectl("-n", team.name, "apply", "-k", str(run_filled_in(tmp_path, kind, outside.told)))
        name = "codexsys-run"
        if kind == "cronjob":
            name = "by-hand"
            kubectl("-n", team.name, "create", "job", name, "--from=cronjob/codexsys-run")
        complete = ("--for=condition=complete", "--timeout=180s")
        kubectl("-n", team.name, "wait", *complete, f"job/{name}")
        log = kubectl("-n", team.name, "logs", f"job/{name}")
    result = result_in(log)
    assert (result["status"], result["diff"]["insertions"]) == ("succeeded", 1), log
    assert (result["sandbox"], result["isolated"]) == ("none", False)
    assert "running: analyzing" in log
    assert outside.receiver.taken[-1].json()["status"] == "succeeded"
    assert all(message.signed_by(SIGNING) for message in outside.receiver.taken)
    assert not [each for each in (TOKEN, SIGNING) if each in log]


def test_a_job_that_cannot_succeed_is_tried_once(images: None, tmp_path: Path) -> None:
    with Outside(tmp_path) as outside, a_team() as team:
        told = outside.told | {"GITLAB_API_TOKEN": "not-the-word"}
        kubectl("-n", team.name, "apply", "-k", str(run_filled_in(tmp_path, "job", told)))
        failed = ("--for=condition=failed", "--timeout=180s")
        kubectl("-n", team.name, "wait", *failed, "job/codexsys-run")
        log = kubectl("-n", team.name, "logs", "job/codexsys-run")
        tries = kubectl("-n", team.name, "get", "pods", "-o", "name").split()
    assert result_in(log)["end_reason"]["code"] == "source_auth", log
    assert len(tries) == 1


def result_in(log: str) -> dict[str, Any]:
    """Return the result; what is said to people comes by another pipe, before it or after."""
    (result,) = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return dict(result)


class Outside:
    """What a run in the cluster reaches: a private repository, a model, a webhook."""

    def __init__(self, folder: Path) -> None:
        make_repository(folder / "repositories/shop", {"README.md": "one\n"})
        node = must_have(NODE)
        self._git = GitHttpServer(folder / "repositories", at=node, user="ada", password=TOKEN)
        self._models, self.receiver = ModelServer(at=node), Receiver(at=node)
        self._models.scripts["small"] = [bash("echo two >> README.md"), FINISH]

    def __enter__(self) -> "Outside":
        self._stack = contextlib.ExitStack()
        for each in (self._git, self._models, self.receiver):
            self._stack.enter_context(each)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def told(self) -> dict[str, str]:
        """Every variable that the two files name."""
        return {
            "REPO_URL": self._git.url("shop"),
            "TASK_INTENT": "Add a line that says two to README.md",
            "OPENAI_BASE_URL": self._models.url("script"),
            "OPENAI_MODEL": "small",
            "OPENAI_API_KEY": "sk-key",
            "GIT_USERNAME": "ada",
            "GITLAB_API_TOKEN": TOKEN,
            "WEBHOOK_URL": self.receiver.url,
            "WEBHOOK_SECRET": SIGNING,
        }


def run_filled_in(folder: Path, kind: str, told: dict[str, str]) -> Path:
    """Return a kustomization of deploy/kubernetes/run for servers without TLS at private addresses."""
    shutil.copytree(ROOT / "run", folder / "run")
    for name, part in (("configmap", "data"), ("secret", "stringData")):
        file = folder / f"run/settings/{name}.yaml"
        found = yaml.safe_load(file.read_text())
        found[part] |= {each: told[each] for each in found[part] if each in told}
        file.write_text(yaml.safe_dump(found))
    where = "/spec/jobTemplate/spec" if kind == "cronjob" else "/spec"
    path = f"{where}/template/spec/containers/0/args/-"
    words = ("--allow-http", "--allow-network", f"{must_have(NODE)}/32")
    patch = json.dumps([{"op": "add", "path": path, "value": word} for word in words])
    target = {"kind": "CronJob" if kind == "cronjob" else "Job"}
    own = {"resources": [f"../run/{kind}"], "patches": [{"target": target, "patch": patch}]}
    (folder / "own").mkdir()
    (folder / "own/kustomization.yaml").write_text(yaml.safe_dump(own))
    return folder / "own"


@pytest.fixture(scope="module")
def url(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Apply the overlay `local`; return where its Service answers, once all of it is ready."""
    made = filled_in(tmp_path_factory.mktemp("deploy"), secret=secrets.token_hex(24))
    overlay = made / "overlays/local"
    with (overlay / "secrets.env").open("a") as file:  # the repository of this test is on the node
        file.write(f"CODEXSYS_ALLOW_NETWORKS={must_have(NODE)}/32\nCODEXSYS_ALLOW_HTTP_GIT=true\n")
    kubectl("apply", "-k", str(overlay))
    try:
        for each in DEPLOYMENTS:
            kubectl("-n", "codexsys", "rollout", "status", f"deployment/{each}", "--timeout=300s")
        address = kubectl(
            "-n", "codexsys", "get", "service", "codexsys-api", "-o", "jsonpath={.spec.clusterIP}"
        )
        yield f"http://{address}"
    finally:
        kubectl("delete", "namespace", "codexsys", "--timeout=180s")
        kubectl("-n", NAMESPACE, "delete", "role,rolebinding,networkpolicy", "--all")


@pytest.fixture(scope="module")
def key(url: str) -> str:
    inside = ("-n", "codexsys", "exec", "deploy/codexsys-api", "--", "codexsys")
    kubectl(*inside, "tenants", "create", "trial")
    made = json.loads(kubectl(*inside, "keys", "create", "--tenant", "trial", "--json"))
    return str(made["key"])


@pytest_asyncio.fixture
async def ada(url: str, key: str) -> AsyncIterator[User]:
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(
        base_url=url, headers=headers, timeout=30, trust_env=False
    ) as client:
        yield User(client, "trial")


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    make_repository(tmp_path / "shop", FILES)
    with GitHttpServer(tmp_path, at=must_have(NODE)) as git:
        yield git.url("shop")


async def test_a_git_task_and_a_zip_task_through_the_service(ada: User, repository: str) -> None:
    source = {"source": {"git": {"url": repository}}}
    tasks = [
        await ada.submit(BODY | {"command": MEND} | source),
        await ada.submit(BODY | {"command": MEND}, archive=zipped(FILES)),
    ]
    for task_id in tasks:
        task = await ada.finished(task_id, seconds=180)
        assert (task["status"], task["diff"]["deletions"]) == ("succeeded", 1), task


async def test_a_rolling_restart_under_load_fails_no_request_and_restarts_no_agent(
    ada: User, url: str, key: str
) -> None:
    task_id = await ada.submit(BODY | {"command": LONG}, archive=zipped(FILES))
    load = Load(url, key)
    async with load:
        await asyncio.to_thread(restart)
    task = await ada.finished(task_id, seconds=240)
    assert (task["status"], task["attempt"]) == ("succeeded", 1), task
    lines = (await ada.log(task_id, "agent")).splitlines()
    assert [each for each in lines if each.startswith("line ")] == [
        f"line {n}" for n in range(1, 61)
    ]
    assert load.failed == []
    assert load.done > 100
    for made in load.made:
        assert (await ada.finished(made, seconds=240))["status"] == "succeeded"


def restart() -> None:
    """Replace every pod of the platform's own."""
    before = pods()
    for each in DEPLOYMENTS:
        kubectl("-n", "codexsys", "rollout", "restart", f"deployment/{each}")
    for each in DEPLOYMENTS:
        kubectl("-n", "codexsys", "rollout", "status", f"deployment/{each}", "--timeout=300s")
    assert not before & pods()


def pods() -> set[str]:
    names = f"app.kubernetes.io/name in ({','.join(DEPLOYMENTS)})"
    running = ("--field-selector=status.phase=Running", "-o", "json")
    listed = json.loads(kubectl("-n", "codexsys", "get", "pods", "-l", names, *running))["items"]
    return {
        each["metadata"]["name"] for each in listed if "deletionTimestamp" not in each["metadata"]
    }


class Load:
    """Clients that read and submit all the time, with connections kept and made anew."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key
        self._over = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self.done = 0
        self.made: list[str] = []
        self.failed: list[str] = []

    async def __aenter__(self) -> None:
        works = [
            self._read(kept=True),
            self._read(kept=True),
            self._read(kept=False),
            self._submit(),
        ]
        self._tasks = [asyncio.create_task(work) for work in works]

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    def _client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self._key}"}
        return httpx2.AsyncClient(base_url=self._url, headers=headers, timeout=30, trust_env=False)

    async def _read(self, *, kept: bool) -> None:
        while not self._over.is_set():
            async with self._client() as client:
                await self._ask(client.get("/api/v1/tasks"), 200)
                while kept and not self._over.is_set():
                    await self._ask(client.get("/api/v1/tasks"), 200)
                    await self._pause(0.05)
            await self._pause(0.05)

    async def _submit(self) -> None:
        body = {"task": (None, json.dumps(BODY | {"command": MEND}), "application/json")}
        zipped_files = ("code.zip", zipped(FILES), "application/zip")
        while not self._over.is_set():
            async with self._client() as client:
                made = await self._ask(
                    client.post("/api/v1/tasks", files=body | {"file": zipped_files}), 202
                )
                self.made += [made["id"]] if made else []
            await self._pause(15)

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), seconds)

    async def _ask(self, request: Any, status: int) -> Any:
        try:
            answer = await request
        except httpx2.HTTPError as error:
            self.failed.append(repr(error))
            return None
        self.done += 1
        if answer.status_code != status:
            self.failed.append(f"{answer.status_code} {answer.text[:200]}")
            return None
        return answer.json()
