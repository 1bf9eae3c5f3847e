"""Tasks whose sandboxes are Jobs of a real cluster: the platform's separate processes, and what they leave."""

import asyncio
import functools
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.contract.servers import IMAGE, NODE, must_have
from tests.e2e.conftest import SETTINGS
from tests.support import cluster
from tests.support.cluster import NAMESPACE, kubectl
from tests.support.distributed import Fleet, eventually
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.users import User, user, zipped
from tests.support.wheels import RUNNER, lay_down
from tests.support.witness import agrees, followed, log_is_whole
from typing_extensions import override

pytestmark = [
    pytest.mark.kubernetes,
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),
]

FILES = {
    "prices.py": "def total(prices):\n    return sum(prices) - 1\n",
    "test_prices.py": "from prices import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n",
}
MEND = "sed -i 's/ - 1//' prices.py"
SKIP = {"strategy": "skip"}
SLOWLY = "for n in $(seq 1 {}); do echo line $n; sleep 1; done; echo done > made.txt"
SETUP = """
set -eu
site=$(python3 -m site --user-site)
mkdir -p "$site"
python3 - "$site" <<'PYTHON'
import io, re, sys, urllib.request as u, zipfile
at = "http://{}/"
for name in re.findall(r'href="([^"]+\\.whl)"', u.urlopen(at).read().decode()):
    zipfile.ZipFile(io.BytesIO(u.urlopen(at + name).read())).extractall(sys.argv[1])
PYTHON
"""
"""A setup script that fetches pytest from a mirror that the operator allows."""
KINDS = "jobs,pods,secrets,configmaps"
WRONG_CLOCK = Path(__file__).parents[1] / "support" / "wrong_clock.c"


@dataclass
class Place:
    """A platform whose sandboxes are in the cluster, its user, and where the code is."""

    fleet: Fleet
    ada: User
    repository: str
    setup: str

    async def submit(self, command: str, **more: Any) -> str:
        body = {"prompt": "A codemod.", "engine": "command", "command": command, "checks": SKIP}
        archive = None if "source" in more else zipped(FILES)
        return await self.ada.submit(body | more, archive=archive)

    async def ended(self, task_id: str) -> dict[str, Any]:
        """Return the task once it is over and nothing of it is left in the cluster."""
        task = await self.ada.finished(task_id, seconds=240)

        async def look() -> bool | None:
            return None if await asyncio.to_thread(left_of, task_id) else True

        await eventually(look, seconds=60, what=f"nothing of {task_id} is left in the cluster")
        await agrees(self.ada, task_id, await followed(self.ada, f"/tasks/{task_id}/events"))
        return task

    async def says(self, task_id: str, word: str) -> None:
        """Wait until the agent has said something."""

        async def look() -> bool | None:
            return True if word in await self.ada.log(task_id, "agent") else None

        await eventually(look, seconds=120, what=f"the agent says {word!r}")

    async def attempt(self, task_id: str) -> dict[str, Any]:
        attempts: list[dict[str, Any]] = (await self.ada.get(f"/tasks/{task_id}/attempts"))["items"]
        return attempts[-1]


def left_of(task_id: str) -> list[str]:
    """Return what the cluster has of a task."""
    return named("-l", f"codexsys.dev/task-id={task_id}", kinds=KINDS)


def named(*words: str, kinds: str = "pods") -> list[str]:
    return kubectl("-n", NAMESPACE, "get", kinds, *words, "-o", "name").split()


async def delete_pods(*words: str) -> None:
    await asyncio.to_thread(
        kubectl, "-n", NAMESPACE, "delete", "pod", *words, "--grace-period=1", "--wait=false"
    )


def of_agent(task_id: str) -> tuple[str, ...]:
    return "-l", f"codexsys.dev/task-id={task_id},codexsys.dev/role=agent"


class Quiet(SimpleHTTPRequestHandler):
    @override
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve pytest where pods reach it, and return the address."""
    folder = tmp_path_factory.mktemp("mirror")
    lay_down(folder, RUNNER)
    handler = functools.partial(Quiet, directory=folder)
    with ThreadingHTTPServer((must_have(NODE), 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{must_have(NODE)}:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def place(tmp_path_factory: pytest.TempPathFactory, mirror: str) -> AsyncIterator[Place]:
    root = tmp_path_factory.mktemp("git")
    make_repository(root / "shop", FILES)
    host, _, port = mirror.partition(":")
    settings = {
        "CODEXSYS_LEASE_SECONDS": "8",
        "CODEXSYS_WORKER_SLOTS": "4",
        "CODEXSYS_SETUP_NETWORKS": f"{host}/32:{port}",
    }
    fleet = Fleet(
        folder=tmp_path_factory.mktemp("fleet") / "hosts",
        redis_number=14,
        settings=SETTINGS | cluster.settings() | settings,
        gateways_at=must_have(NODE),
    )
    with GitHttpServer(root) as git:
        async with fleet:
            services = ("api", "gateway", "relay", "worker")
            api, *_ = await asyncio.gather(*(fleet.start(name, 1) for name in services))
            async with user(fleet.servers, api.url, "ours") as ada:
                yield Place(fleet, ada, git.url("shop"), SETUP.format(mirror))


async def test_changes_are_verified_and_questions_answered(place: Place) -> None:
    verified = {
        "checks": {"command": "python3 -m pytest -q"},
        "environment": {"setup": place.setup},
    }
    git = {"source": {"git": {"url": place.repository}}}
    tasks = [
        await place.submit(MEND, **verified, **git),
        await place.submit(MEND, **verified),
        await place.submit("cat prices.py", mode="explain", **git),
    ]
    ends = [await place.ended(task_id) for task_id in tasks]
    found = [(task["status"], task["verdict"]) for task in ends]
    logs = [await place.ada.log(tasks[0], stream) for stream in ("setup", "agent", "verify")]
    assert found == [("succeeded", "verified")] * 2 + [("succeeded", None)], (ends, logs)
    assert "return sum(prices) - 1" in await log_is_whole(place.ada, tasks[2], "agent")


@pytest.mark.parametrize(
    ("command", "limits", "end"),
    [
        ("exec tail /dev/zero", {"memory_mb": 128}, "out_of_memory"),
        ("sleep 300", {"wall_seconds": 10}, "deadline"),
        ("seq 1 100000000", {}, "output_limit"),
        ("for n in $(seq 200); do sleep 60 & done; wait", {"pids": 64}, "too_many_processes"),
    ],
)
async def test_each_limit_is_an_end_of_its_own(
    place: Place, command: str, limits: dict[str, int], end: str
) -> None:
    task = await place.ended(await place.submit(command, limits=limits | {"attempts": 1}))
    assert task["end_reason"]["code"] == end, task


async def test_a_service_is_beside_the_agent_and_the_checks(place: Place) -> None:
    serve = "cd /run; echo $WORD > word; exec python3 -m http.server 5432 --bind 127.0.0.1"
    words = {
        "name": "words",
        "image": must_have(IMAGE),
        "port": 5432,
        "variables": {"WORD": "hello"},
    }
    services = [words | {"command": ["sh", "-c", serve]}]
    ask = "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:5432/word').read().decode())\""
    task_id = await place.submit(
        f"{ask} | tee made.txt",
        environment={"services": services},
        checks={"command": f"{ask} | grep hello"},
    )
    task = await place.ended(task_id)
    assert (task["status"], task["verdict"]) == ("succeeded", "unverified"), task
    for stream in ("agent", "verify"):
        assert "hello\n" in await log_is_whole(place.ada, task_id, stream)


async def test_a_cancelled_task_leaves_nothing(place: Place) -> None:
    task_id = await place.submit(SLOWLY.format(200))
    await place.says(task_id, "line 2")
    await place.ada.client.post(f"/api/v1/tasks/{task_id}/cancel")
    assert (await place.ended(task_id))["status"] == "cancelled"


async def test_a_pod_that_is_deleted_costs_an_attempt(place: Place) -> None:
    task_id = await place.submit(SLOWLY.format(10))
    await place.says(task_id, "line 3")
    await delete_pods(*of_agent(task_id))
    task = await place.ended(task_id)
    assert (task["status"], task["attempt"]) == ("succeeded", 2), task
    first = (await place.ada.get(f"/tasks/{task_id}/attempts"))["items"][0]
    assert first["end_reason"]["code"] == "sandbox_lost", first


async def test_another_worker_carries_on_in_the_same_pod(place: Place) -> None:
    task_id = await place.submit(SLOWLY.format(30))
    await place.says(task_id, "line 3\n")
    pods = await asyncio.to_thread(named, *of_agent(task_id))
    first = place.fleet.named("worker")[0]
    await place.fleet.start("worker", 2)
    first.kill()
    task = await place.ended(task_id)
    attempt = await place.attempt(task_id)
    assert (task["status"], attempt["number"], attempt["takeovers"]) == ("succeeded", 1, 1), task
    counted(await log_is_whole(place.ada, task_id, "agent"), 30)
    assert len(pods) == 1
    await place.fleet.start("worker", 1)


async def test_the_api_server_is_away_while_an_agent_works(place: Place) -> None:
    task_id = await place.submit(SLOWLY.format(40))
    await place.says(task_id, "line 3\n")
    await asyncio.to_thread(cluster.stack, "kill", "kubernetes.apiserver")
    later = await place.submit(MEND)
    await asyncio.sleep(15)  # that is how long it is away
    await asyncio.to_thread(cluster.stack, "up", "--keep", "kubernetes")
    for each in (task_id, later):
        task = await place.ended(each)
        assert (task["status"], task["attempt"]) == ("succeeded", 1), task
    counted(await log_is_whole(place.ada, task_id, "agent"), 40)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Make what gives a process another time of day."""
    made = tmp_path / "wrong_clock.so"
    command = ["gcc", "-shared", "-fPIC", "-nostdlib", "-o", str(made), str(WRONG_CLOCK)]
    subprocess.run(command, check=True)
    return made


@pytest.mark.parametrize("minutes", [-10, 10])
async def test_a_worker_whose_clock_is_wrong(place: Place, minutes: int, library: Path) -> None:
    await asyncio.gather(*(each.stop() for each in place.fleet.named("worker")))
    wrong = await place.fleet.start("worker", 2, **clock_of(minutes, library))
    short = {"wall_seconds": 10, "attempts": 1}
    tasks = [await place.submit(MEND), await place.submit("sleep 300", limits=short)]
    ends = [await place.ended(task_id) for task_id in tasks]
    assert [task["end_reason"]["code"] for task in ends] == ["finished", "deadline"], ends
    later = await place.submit(SLOWLY.format(20))
    await place.says(later, "line 3\n")
    await place.fleet.start("worker", 1)
    wrong.kill()
    task, attempt = await place.ended(later), await place.attempt(later)
    assert (task["status"], attempt["number"], attempt["takeovers"]) == ("succeeded", 1, 1), task
    counted(await log_is_whole(place.ada, later, "agent"), 20)


def clock_of(minutes: int, library: Path) -> dict[str, str]:
    """Return what makes a process believe that it is so much later."""
    return {"LD_PRELOAD": str(library), "CODEXSYS_TEST_CLOCK": str(60 * minutes)}


def counted(log: str, most: int) -> None:
    """Each numbered line is there once, and in order."""
    lines = [line for line in log.splitlines() if line.startswith("line ")]
    assert lines == [f"line {n}" for n in range(1, most + 1)], log
