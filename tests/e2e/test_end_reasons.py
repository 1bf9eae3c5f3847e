"""How tasks end: every end reason through a whole platform in one process, and nothing left behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import free_port
from tests.support.git_http import GitHttpServer, git, make_repository
from tests.support.place import FINISH, Place, bash, open_place, reason, scripted
from tests.support.wheels import SETUP, lay_down

from codexsys_core.end_reasons import EndReason
from codexsys_core.environment import Environment, EnvironmentGiven
from codexsys_core.moves import TaskStatus
from codexsys_core.source import GitSource, TaskSource
from codexsys_core.verdict import Checks

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = {"README.md": "one\n"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    wheels = tmp_path_factory.mktemp("ends-wheels")
    await asyncio.to_thread(lay_down, wheels)
    wheels.chmod(0o755)
    folder = tmp_path_factory.mktemp("ends") / "data"
    async with open_place(folder, sandbox="local", sandbox_wheels=wheels) as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("git")
    make_repository(root / "good", FILES)
    git(root, "init", "-q", "empty")
    with GitHttpServer(root) as running:
        yield running


async def test_source_of_git_that_cannot_be_used(place: Place, server: GitHttpServer) -> None:
    wanted = {
        EndReason.HOST_UNKNOWN: GitSource(url="https://no-such-host.invalid/a.git"),
        EndReason.CONNECTION_REFUSED: GitSource(url=f"http://127.0.0.1:{free_port()}/a.git"),
        EndReason.REF_NOT_FOUND: GitSource(url=server.url("good"), ref="nowhere"),
        EndReason.REPOSITORY_EMPTY: GitSource(url=server.url("empty")),
        EndReason.ADDRESS_DENIED: GitSource(url="https://169.254.169.254/a.git"),
    }
    tasks = [await place.submit(source) for source in wanted.values()]
    found = [reason(await place.until(task)) for task in tasks]
    assert found == list(wanted)
    for task in tasks:
        kept = f"codexsys-code/processed_code/{task}/"
        assert await place.platform.objects.names(kept) == []
        assert await place.platform.sandboxes.of_task(task) == []
    await place.clean()


async def test_private_repository_without_credential(place: Place, tmp_path: Path) -> None:
    make_repository(tmp_path / "private", FILES)
    with GitHttpServer(tmp_path, user="ada", password="secret-word") as private:
        task = await place.ended(GitSource(url=private.url("private")))
    assert reason(task) is EndReason.SOURCE_AUTH


async def test_zip_that_is_gone(place: Place) -> None:
    source = await place.zip_source(FILES)
    await place.platform.objects.delete(source.object)
    assert reason(await place.ended(source)) is EndReason.SOURCE_GONE


async def test_command_changes_a_git_repository(place: Place, server: GitHttpServer) -> None:
    task = await place.ended(GitSource(url=server.url("good")))
    assert task.status is TaskStatus.SUCCEEDED
    assert task.diff is not None
    assert task.diff.insertions == 1


@pytest.mark.parametrize(
    ("setup", "limits", "wanted"),
    [
        ("exit 3", {}, EndReason.SETUP_FAILED),
        ("while :; do :; done", {"setup_seconds": 1}, EndReason.SETUP_TIMEOUT),
        ('echo "$TOKEN" > left', {}, EndReason.SECRET_LEFT_BEHIND),
    ],
)
async def test_setup_that_goes_wrong(
    place: Place, setup: str, limits: dict[str, Any], wanted: EndReason
) -> None:
    environment = EnvironmentGiven.model_validate(
        {
            "setup": setup,
            "setup_variables": {"TOKEN": "a-secret-value"},
            "network": {"setup": "none"},
        }
    )
    source = await place.zip_source(FILES)
    task = await place.ended(source, environment=environment, limits=limits)
    assert reason(task) is wanted


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ({"command": "true"}, EndReason.NO_CHANGE),
        ({"command": "exit 4"}, EndReason.COMMAND_FAILED),
        ({"checks": Checks(command="no-such-program")}, EndReason.CHECKS_NOT_STARTED),
        ({"command": "while :; do :; done", "limits": {"wall_seconds": 10}}, EndReason.DEADLINE),
        (
            {
                "engine": "builtin",
                "prompt": scripted(bash("true"), bash("ls"), FINISH),
                "limits": {"steps": 1},
            },
            EndReason.STEPS_EXHAUSTED,
        ),
        (
            {
                "engine": "builtin",
                "prompt": scripted(bash("true"), bash("ls"), FINISH),
                "limits": {"calls": 1},
            },
            EndReason.CALLS_EXHAUSTED,
        ),
    ],
)
async def test_agent_that_goes_wrong(place: Place, spec: dict[str, Any], wanted: EndReason) -> None:
    task = await place.ended(await place.zip_source(FILES), **spec)
    assert reason(task) is wanted, await place.text(task.id, "agent")


async def test_a_command_whose_process_was_killed_for_memory(place: Place) -> None:
    eat = "python3 -c 'x = bytearray(400 << 20); print(len(x))'"
    command = f"echo two >> README.md; {eat} || exit 1"
    task = await place.ended(
        await place.zip_source(FILES), command=command, limits={"memory_mb": 128}
    )
    assert reason(task) is EndReason.OUT_OF_MEMORY, await place.text(task.id, "agent")
    assert task.diff is not None
    assert task.diff.insertions == 1


async def test_an_agent_that_was_killed_is_tried_again(place: Place) -> None:
    source = await place.zip_source(FILES)
    task = await place.ended(source, command="kill -9 $PPID", limits={"attempts": 2})
    assert (reason(task), task.attempt) == (EndReason.AGENT_CRASHED, 2)


async def test_checks_that_take_too_long(place: Place) -> None:
    task = await place.ended(
        await place.zip_source(FILES),
        checks=Checks(command="while :; do :; done"),
        limits={"checks_seconds": 1},
    )
    assert reason(task) is EndReason.CHECKS_TIMEOUT, await place.text(task.id, "verify")


async def test_a_submodule_is_no_change_that_is_taken(place: Place) -> None:
    task = await place.ended(await place.zip_source(FILES), command="echo x > .gitmodules")
    assert reason(task) is EndReason.PATCH_REFUSED


async def test_cancel_while_running(place: Place) -> None:
    source = await place.zip_source(FILES)
    task_id = await place.submit(source, command="echo two >> README.md; while :; do :; done")
    await place.until(task_id, phase="analyzing")
    await place.platform.tasks.cancel(task_id, tenant_id=place.tenant)
    task = await place.until(task_id)
    assert (task.status, reason(task)) == (TaskStatus.CANCELLED, EndReason.CANCELLED)
    await place.clean()


async def test_carry_on_from_the_result_of_a_task(place: Place) -> None:
    first = await place.ended(await place.zip_source(FILES))
    second = await place.ended(TaskSource(task_id=first.id), command="echo three >> README.md")
    assert second.diff is not None
    assert second.diff.insertions == 2


CODE = {
    "shop.py": "def total():\n    return 1\n",
    "test_shop.py": "import shop\n\n\ndef test_total():\n    assert shop.total() < 3\n",
}
CHECKED: dict[str, Any] = {
    "checks": Checks(command="python3 -m pytest -q"),
    "environment": Environment.model_validate({"setup": SETUP, "network": {"setup": "none"}}),
}


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("sed -i 's/return 1/return 2/' shop.py", EndReason.FINISHED),
        ("sed -i 's/return 1/return 3/' shop.py", EndReason.CHECKS_FAILED),
        (
            "sed -i 's/return 1/return 3/' shop.py; sed -i 's/< 3/< 4/' test_shop.py",
            EndReason.CHECKS_TAMPERED,
        ),
    ],
)
async def test_verdict(place: Place, command: str, wanted: EndReason) -> None:
    task = await place.ended(await place.zip_source(CODE), command=command, **CHECKED)
    assert reason(task) is wanted, await place.text(task.id, "verify")


async def test_a_second_round_mends_what_was_rejected(place: Place) -> None:
    mend = "if grep -q 'return 3' shop.py; then n=2; else n=3; fi; sed -i \"s/return ./return $n/\" shop.py"
    task = await place.ended(
        await place.zip_source(CODE),
        engine="builtin",
        prompt=scripted(bash(mend), FINISH),
        limits={"verify_rounds": 1},
        **CHECKED,
    )
    assert reason(task) is EndReason.FINISHED, await place.text(task.id, "verify")
    events = await place.platform.events.after(task.id, 0)
    assert sum(event.type == "agent.finished" for event in events) == 2
    checkpoint = await place.platform.checkpoints.last(task.id)
    assert checkpoint is not None
    patch = await place.platform.objects.get(f"{checkpoint.object}/patch")
    assert b"+    return 2" in patch
