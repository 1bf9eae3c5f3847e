"""However a task with a worker ends, what its agent had changed by then is in `diff.patch`."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.distributed import eventually
from tests.support.place import FINISH, Place, bash, scripted
from tests.support.shop import open_shop, retried
from tests.support.so_far import KEPT_ON, kept_on, listed_change, patch_of, tree_of
from tests.support.users import User, zipped

from codexsys_core.end_reasons import EndReason

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.stack]
FILES = {"README.md": "one\n"}
CHANGE = "echo two >> README.md"
FOR_EVER = "while :; do sleep 1; done"
CHECKPOINT = [bash(f"echo {n}") for n in range(9)]
EAT = "python3 -c 'x = bytearray(400 << 20); print(len(x))' || exit 1"
Shop = tuple[Place, User]


def command(script: str) -> dict[str, Any]:
    return {"prompt": "x", "engine": "command", "command": f"{CHANGE}; {script}"}


def steps(*more: dict[str, Any]) -> dict[str, Any]:
    return {"prompt": scripted(bash(CHANGE), *more)}


CASES: dict[EndReason, tuple[dict[str, Any], dict[str, Any]]] = {
    EndReason.FINISHED: (steps(FINISH), {}),
    EndReason.COMMAND_FAILED: (command("exit 4"), {}),
    EndReason.AGENT_CRASHED: (command("kill -9 $PPID"), {}),
    EndReason.DEADLINE: (command(FOR_EVER), {"wall_seconds": 10}),
    EndReason.OUT_OF_MEMORY: (command(EAT), {"memory_mb": 128}),
    EndReason.CALLS_EXHAUSTED: (steps(bash("true"), FINISH), {"calls": 1}),
    EndReason.CHECKS_FAILED: (
        steps(FINISH) | {"checks": {"command": "! grep two README.md"}},
        {"verify_rounds": 0},
    ),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KEPT_ON)
async def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("endings") / "data"
    async with (
        kept_on(request.param) as settings,
        open_shop(folder, sandbox="local", worker_slots=3, **settings) as opened,
    ):
        yield opened


async def _submit(ada: User, body: dict[str, Any], **limits: Any) -> str:
    given = {"checks": {"strategy": "skip"}} | body | {"limits": {"attempts": 1} | limits}
    return await ada.submit(given, archive=zipped(FILES))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(shop: Shop) -> dict[EndReason, dict[str, Any]]:
    """Submit all at once and wait for their ends."""
    _, ada = shop
    ids = [await _submit(ada, body, **limits) for body, limits in CASES.values()]
    tasks = [await ada.finished(each, seconds=120) for each in ids]
    return dict(zip(CASES, tasks, strict=True))


@pytest.mark.parametrize("wanted", list(CASES))
async def test_the_change_is_there(
    shop: Shop, ended: dict[EndReason, dict[str, Any]], wanted: EndReason
) -> None:
    _, ada = shop
    task = ended[wanted]
    assert task["end_reason"]["code"] == wanted, await ada.log(task["id"], "agent")
    assert task["diff"] == {"files": 1, "insertions": 1, "deletions": 0}
    assert "\n+two" in await patch_of((await ada.artifacts(task["id"]))["diff.patch"])
    assert await tree_of(ada, task["id"]) == {"README.md": b"one\ntwo\n"}


KILLED = "grep -q two README.md && exit 0; echo two >> README.md; kill -9 $PPID"
"""An agent that dies before any checkpoint; the next one finds whether its work is still there."""


async def test_the_next_attempt_stands_on_what_was_collected_of_a_dead_agent(shop: Shop) -> None:
    _, ada = shop
    body = {"prompt": "x", "engine": "command", "command": KILLED}
    task = await ada.finished(await _submit(ada, body, attempts=2), seconds=60)
    assert (task["end_reason"]["code"], task["attempt"]) == ("finished", 2)
    assert (await patch_of((await ada.artifacts(task["id"]))["diff.patch"])).count("\n+two") == 1


async def test_a_retry_stands_on_what_was_collected_of_a_dead_agent(shop: Shop) -> None:
    _, ada = shop
    body = {"prompt": "x", "engine": "command", "command": KILLED}
    first = await ada.finished(await _submit(ada, body), seconds=60)
    assert first["end_reason"]["code"] == "agent_crashed"
    task = await ada.finished(await retried(ada, first["id"]), seconds=60)
    assert task["end_reason"]["code"] == "finished"
    assert task["diff"]["insertions"] == 1


async def test_cancelled_at_work(shop: Shop) -> None:
    place, ada = shop
    marked = f"{CHANGE}; echo changed"
    task_id = await _submit(ada, {"prompt": scripted(bash(marked), bash(FOR_EVER))})

    async def at_work() -> bool | None:
        return True if "changed" in await ada.log(task_id, "agent") else None

    await eventually(at_work, seconds=60, what="the file is changed")
    assert (await ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    task = await ada.finished(task_id, seconds=30)
    assert task["end_reason"]["code"] == "cancelled"
    assert "\n+two" in await patch_of((await ada.artifacts(task_id))["diff.patch"])
    await place.clean()


async def _lose_sandbox(place: Place, ada: User, task_id: str) -> str:
    """Kill -9 the supervisor of the agent's live sandbox; return the sandbox's id."""
    attempts = (await ada.get(f"/tasks/{task_id}/attempts"))["items"]
    live = [
        row["id"]
        for row in attempts[-1]["sandboxes"]
        if (row["role"], row["state"]) == ("agent", "live")
    ]
    assert len(live) == 1
    lock = place.folder / "sandboxes" / live[0] / "lock"
    os.kill(int(lock.read_text()), signal.SIGKILL)
    return str(live[0])


async def test_a_lost_sandbox_leaves_its_last_checkpoint(shop: Shop) -> None:
    place, ada = shop
    task_id = await _submit(ada, steps(*CHECKPOINT, bash(FOR_EVER)))
    await listed_change(ada, task_id)
    lost = await _lose_sandbox(place, ada, task_id)
    task = await ada.finished(task_id, seconds=60)
    assert task["end_reason"]["code"] in ("sandbox_lost", "sandbox_failed"), await ada.log(
        task_id, "agent"
    )
    assert "\n+two" in await patch_of((await ada.artifacts(task_id))["diff.patch"])
    (attempt,) = (await ada.get(f"/tasks/{task_id}/attempts"))["items"]
    (row,) = attempt["sandboxes"]
    assert (row["id"], row["role"], row["state"]) == (lost, "agent", "ended")
    assert row["end_reason"]
    await place.clean()


async def test_the_next_attempt_carries_on_where_the_sandbox_was_lost(shop: Shop) -> None:
    place, ada = shop
    task_id = await _submit(ada, steps(*CHECKPOINT, bash(FOR_EVER)), attempts=2)
    await listed_change(ada, task_id)
    await _lose_sandbox(place, ada, task_id)

    async def second() -> bool | None:
        task = await ada.get(f"/tasks/{task_id}")
        assert "diff.patch" in await ada.artifacts(task_id)
        return True if (task["attempt"], task["phase"]) == (2, "analyzing") else None

    await eventually(second, seconds=60, what="the second attempt is at work")
    assert (await tree_of(ada, task_id)) == {"README.md": b"one\ntwo\n"}
    assert (await ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    await ada.finished(task_id, seconds=30)
    assert (await patch_of((await ada.artifacts(task_id))["diff.patch"])).count("\n+two") == 1
    await place.clean()


async def test_what_an_attempt_had_done_is_kept_when_the_next_cannot_begin(shop: Shop) -> None:
    place, ada = shop
    task_id = await _submit(ada, steps(*CHECKPOINT, bash(FOR_EVER)), attempts=2)
    before = await patch_of(await listed_change(ada, task_id))
    base = f"codexsys-code/processed_code/{task_id}/base.tar.gz"
    stored = await place.platform.objects.get(base)
    await place.platform.objects.delete(base)
    await _lose_sandbox(place, ada, task_id)
    task = await ada.finished(task_id, seconds=60)
    assert (task["end_reason"]["code"], task["attempt"]) == ("source_gone", 2)
    await place.platform.objects.put(base, stored)
    assert await patch_of((await ada.artifacts(task_id))["diff.patch"]) == before
    await place.clean()


async def test_others_stand_on_the_work_of_a_task_that_was_cancelled_between_attempts(
    tmp_path: Path,
) -> None:
    async with open_shop(tmp_path / "data", sandbox="local", retry_seconds=120) as (place, ada):
        body = steps(*CHECKPOINT, bash(FOR_EVER))
        first = await _submit(ada, body, attempts=2)
        await listed_change(ada, first)
        await _lose_sandbox(place, ada, first)

        async def waits() -> bool | None:
            task = await ada.get(f"/tasks/{first}")
            return True if (task["attempt"], task["status"]) == (2, "queued") else None

        await eventually(waits, seconds=30, what="the next attempt is due later")
        assert (await ada.client.post(f"/api/v1/tasks/{first}/cancel")).is_success
        assert (await ada.get(f"/tasks/{first}"))["status"] == "cancelled"
        next_one = {"prompt": "x", "engine": "command", "command": "echo three >> README.md"}
        third = await ada.submit(next_one | {"source": {"task": first}})
        assert (await ada.finished(third, seconds=60))["status"] == "succeeded"
        assert (await tree_of(ada, third)) == {"README.md": b"one\ntwo\nthree\n"}
