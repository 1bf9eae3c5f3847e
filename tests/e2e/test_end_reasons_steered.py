"""End reasons that a sandbox has to be told to give, and how often each is tried, on dummy sandboxes."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from tests.support.api_service import free_port
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.place import Place, open_place, reason

from codexsys_core.end_reasons import EndReason
from codexsys_core.environment import Environment
from codexsys_core.moves import TaskStatus
from codexsys_core.sandbox import SandboxState
from codexsys_core.source import GitSource, ZipSource
from codexsys_core.task import Task
from codexsys_core.verdict import Checks

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = {"a.txt": "one\n"}
PATCH = "diff --git a/b.txt b/b.txt\nnew file mode 100644\n--- /dev/null\n+++ b/b.txt\n@@ -0,0 +1 @@\n+two\n"
MODULES = "diff --git a/.gitmodules b/.gitmodules\nnew file mode 100644\n--- /dev/null\n+++ b/.gitmodules\n@@ -0,0 +1 @@\n+x\n"
CHECKS = Checks(command="true")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("steered") / "data"
    async with open_place(folder, sandbox="dummy", max_source_mb=1, worker_slots=4) as running:
        yield running


def steered(**variables: object) -> Environment:
    return Environment(
        setup="true",
        variables={f"DUMMY_{name}": str(value) for name, value in variables.items()},
    )


CASES: list[tuple[EndReason, dict[str, object], dict[str, Any]]] = [
    (EndReason.OUT_OF_MEMORY, {"AGENT_OOM": 1}, {}),
    (EndReason.OUT_OF_MEMORY, {"AGENT_EXIT": 8, "AGENT_OOM_CHILD": 1}, {}),
    (EndReason.OUT_OF_MEMORY, {"AGENT_EXIT": 137, "AGENT_OOM_CHILD": 1}, {}),
    (EndReason.OUT_OF_MEMORY, {"ENVIRONMENT_EXIT": 1, "ENVIRONMENT_OOM_CHILD": 1}, {}),
    (EndReason.AGENT_GAVE_UP, {"AGENT_EXIT": 2, "AGENT_OOM_CHILD": 1}, {}),
    (EndReason.FINISHED, {"AGENT_OOM_CHILD": 1}, {}),
    (EndReason.TOO_MANY_PROCESSES, {"AGENT_END": "too_many_processes"}, {}),
    (EndReason.DISK_FULL, {"AGENT_END": "disk_full"}, {}),
    (EndReason.OUTPUT_LIMIT, {"AGENT_END": "output_limit"}, {}),
    (EndReason.DEADLINE, {"AGENT_END": "deadline"}, {}),
    (EndReason.DEADLINE, {"AGENT_DELAY": 600}, {"limits": {"task_seconds": 4}}),
    (EndReason.DEADLINE, {"COLLECT_DELAY": 40}, {"limits": {"task_seconds": 4}}),
    (EndReason.SETUP_TIMEOUT, {"ENVIRONMENT_END": "deadline"}, {}),
    (EndReason.CHECKS_TIMEOUT, {"CHECKS_END": "deadline"}, {"checks": CHECKS}),
    (EndReason.CHECKS_NOT_STARTED, {"CHECKS_EXIT": 127}, {"checks": CHECKS}),
    (EndReason.AGENT_CRASHED, {"AGENT_EXIT": 1}, {}),
    (EndReason.AGENT_STUCK, {"AGENT_EXIT": 4}, {}),
    (EndReason.SANDBOX_NETWORK_OPEN, {"AGENT_EXIT": 9}, {}),
    (EndReason.GATEWAY_UNAVAILABLE, {"AGENT_EXIT": 10}, {}),
    (EndReason.SANDBOX_FAILED, {"AGENT_START_FAILURE": 1}, {}),
    (EndReason.SANDBOX_LOST, {"AGENT_END": "sandbox_lost"}, {}),
    (EndReason.SANDBOX_FAILED, {"COLLECT_EXIT": 1}, {}),
    (EndReason.IMAGE_NOT_FOUND, {}, {"image": "refused/image_not_found"}),
    (EndReason.IMAGE_NOT_ALLOWED, {}, {"image": "refused/image_not_allowed"}),
    (EndReason.IMAGE_UNUSABLE, {}, {"image": "refused/image_unusable"}),
    (EndReason.SERVICES_NOT_SUPPORTED, {}, {"image": "refused/services_not_supported"}),
    (EndReason.INTERNAL, {"AGENT_BUG": 1}, {}),
    (EndReason.PATCH_REFUSED, {"PATCH": MODULES}, {}),
    (EndReason.PATCH_REFUSED, {"PATCH": "no patch at all"}, {}),
    (
        EndReason.AGENT_CRASHED,
        {"AGENT_EXIT": 1, "COLLECT": '{"output/result.json": "%s"}' % ("[" * 99_000)},
        {},
    ),
]
Ended = list[Task]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(place: Place) -> Ended:
    """Submit all at once and wait for their ends."""
    tasks = []
    for _, steer, more in CASES:
        source = await place.zip_source(FILES)
        environment = steered(**({"PATCH": PATCH} | steer)).model_copy(
            update={"image": more.get("image")}
        )
        rest = {name: value for name, value in more.items() if name != "image"}
        limits = {"attempts": 2} | rest.pop("limits", {})
        tasks.append(await place.submit(source, environment=environment, limits=limits, **rest))
    return [await place.until(task, seconds=120) for task in tasks]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{n} {CASES[n][0]}")
async def test_each_ends_as_it_should_and_is_tried_as_often(
    number: int, place: Place, ended: Ended
) -> None:
    wanted, task = CASES[number][0], ended[number]
    assert reason(task) is wanted, task.end
    attempts = await place.platform.attempts.of_task(task.id, tenant_id=place.tenant)
    assert len(attempts) == (2 if wanted.retryable else 1)
    names = {each.name for each in await place.platform.artifacts.of_task(task.id)}
    assert {"diff.patch", "report.json"} <= names


async def test_nothing_is_left_of_any_of_them(place: Place, ended: Ended) -> None:
    await place.clean()
    for task in ended:
        rows = await place.platform.sandboxes.of_task(task.id)
        assert {row.state for row in rows} <= {SandboxState.ENDED}
        assert all(row.destroyed_at for row in rows)


async def test_a_source_that_is_too_large_or_no_repository(place: Place, tmp_path: Path) -> None:
    make_repository(tmp_path / "large", {"a.bin": bytes(2 << 20)})
    make_repository(tmp_path / "good", FILES)
    with GitHttpServer(
        tmp_path,
        statuses={"/broken": 500, "/page": 200},
        redirects={"/moved": "http://127.0.0.1:1/secret"},
    ) as server:
        wanted = {
            server.url("large"): EndReason.SOURCE_TOO_LARGE,
            server.url("broken"): EndReason.SOURCE_UNREACHABLE,
            server.url("page"): EndReason.SOURCE_UNREACHABLE,
            server.url("moved"): EndReason.ADDRESS_DENIED,
            server.url("none"): EndReason.SOURCE_AUTH,
        }
        ends = [reason(await place.ended(GitSource(url=url))) for url in wanted]
        modules = await place.ended(GitSource(url=server.url("good"), submodules=True))
    assert ends == list(wanted.values())
    assert reason(modules) is EndReason.SOURCE_REFUSED
    assert list((place.folder / "mirrors").glob("*.git/objects/pack/tmp_*")) == []


async def test_a_secret_that_another_key_sealed(place: Place) -> None:
    other = steered(PATCH=PATCH).model_copy(update={"setup_variables": {"TOKEN": "hunter2-word"}})
    task = await place.ended(await place.zip_source(FILES), environment=other)
    assert reason(task) is EndReason.SECRET_UNREADABLE
    assert task.end is not None
    assert "hunter2-word" not in task.end.detail


async def test_a_zip_that_went_bad_in_the_store(place: Place) -> None:
    data = b"PK but no zip"
    name = f"codexsys-code/tmp_zips/{place.platform.ids.new('task')}/code.zip"
    await place.platform.objects.put(name, data)
    source = ZipSource(object=name, sha256=hashlib.sha256(data).hexdigest(), size=len(data))
    assert reason(await place.ended(source)) is EndReason.ZIP_REFUSED
    changed = source.model_copy(update={"sha256": "0" * 64})
    assert reason(await place.ended(changed)) is EndReason.SOURCE_GONE


async def test_a_retryable_end_of_a_source_is_tried_again(place: Place) -> None:
    url = f"http://127.0.0.1:{free_port()}/a.git"
    task = await place.ended(GitSource(url=url), limits={"attempts": 2})
    assert reason(task) is EndReason.CONNECTION_REFUSED
    assert task.attempt == 2


async def test_a_cancel_does_not_wait_for_a_git_server(place: Place, tmp_path: Path) -> None:
    make_repository(tmp_path / "good", FILES)
    with GitHttpServer(tmp_path) as server:
        to = urlsplit(server.url("good"))
        async with FaultProxy(to.hostname or "", to.port or 0) as proxy:
            proxy.turn(Weather.BLACK_HOLE)
            url = to._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()
            task_id = await place.submit(GitSource(url=url))
            await place.until(task_id, phase="cloning")
            await place.platform.tasks.cancel(task_id, tenant_id=place.tenant)
            await place.platform.hints.tell("cancel", task_id)
            task = await place.until(task_id, seconds=15)
            proxy.turn(Weather.CLEAR)
    assert (reason(task), task.attempt) == (EndReason.CANCELLED, 1)
    await place.clean()


async def test_no_worker_in_time(place: Place) -> None:
    source = await place.zip_source(FILES)
    slow = steered(AGENT_DELAY=60, PATCH=PATCH)
    busy = [await place.submit(source, environment=slow, limits={}) for _ in range(4)]
    for task in busy:
        await place.until(task, phase="analyzing")
    late = await place.until(await place.submit(source, limits={"queue_seconds": 1}))
    for task in busy:
        await place.platform.tasks.cancel(task, tenant_id=place.tenant)
    assert (reason(late), late.status) == (EndReason.QUEUE_TIMEOUT, TaskStatus.TIMED_OUT)
    assert [reason(await place.until(task)) for task in busy] == [EndReason.CANCELLED] * 4
    await place.clean()
