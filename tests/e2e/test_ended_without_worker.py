"""Tasks that end where no worker is at work on them: what their agents had done is there all the same."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.api_service import Served, client_of, free_port, serving, zipped
from tests.support.distributed import eventually
from tests.support.doors import row_of
from tests.support.so_far import KEPT_ON, kept_on, patch_of, tree_of
from tests.support.users import TERMINAL, User

from codexsys_core.attempt import Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.outcome import Outcome
from codexsys_core.question import Question
from codexsys_core.sandbox import SandboxRole
from codexsys_gateway.main import Gateway
from codexsys_wiring.platform import Platform

pytestmark = pytest.mark.stack
PATCH = """diff --git a/a.txt b/a.txt
--- a/a.txt
+++ b/a.txt
@@ -1 +1,2 @@
 one
+two
"""
DEAD = "wrk_dead"


@dataclass
class Abandoned:
    """A task whose worker has died after its agent's first checkpoint, and its owner."""

    platform: Platform
    user: User
    hold: Hold

    async def cancel(self) -> None:
        answer = await self.user.client.post(f"/api/v1/tasks/{self.hold.task_id}/cancel")
        assert answer.is_success, answer.text

    async def queue_again(self) -> None:
        assert await self.platform.attempts.again(
            self.hold,
            Outcome(reason=EndReason.SANDBOX_LOST),
            new_attempt_id=self.platform.ids.new("att"),
            delay_seconds=0,
        )

    async def ask(self, seconds: float) -> None:
        question = Question(
            id=self.platform.ids.new("qst"),
            task_id=self.hold.task_id,
            text="Which?",
            deadline=self.platform.clock.now(),
        )
        asked = await self.platform.questions.suspend(self.hold, [question], answer_seconds=seconds)
        assert asked == "suspended"


@asynccontextmanager
async def _abandoned(served: Served) -> AsyncIterator[Abandoned]:
    """Play the worker of a task, up to a checkpoint that its agent sends through the gateway."""
    platform, user = served.platform, User(served.client, served.tenant_id)
    body = {"prompt": "x", "limits": {"queue_seconds": 1}}
    task_id = await user.submit(body, archive=zipped({"a.txt": "one\n", "b.txt": "b\n"}))
    claim = await platform.attempts.claim(task_id, owner=DEAD, lease_seconds=0.2)
    assert claim is not None
    await _with_base(platform, claim.task, claim.hold)
    row = row_of(platform, claim.hold, role=SandboxRole.AGENT, token="token")
    assert await platform.sandboxes.add(claim.hold, row)
    gateway = Gateway(platform)
    running = asyncio.create_task(gateway.run())
    url = f"http://127.0.0.1:{platform.settings.gateway_port}"
    try:
        async with client_of(url, "token") as door:
            await _checkpoint(door)
        yield Abandoned(platform, user, claim.hold)
    finally:
        gateway.stop()
        await asyncio.wait_for(running, 15)


async def _with_base(platform: Platform, task: Any, hold: Hold) -> None:
    folder = platform.settings.data_dir / hold.task_id
    folder.mkdir()
    await platform.objects.fetch(task.spec.source.object, folder / "code.zip")
    base = await platform.zips.unpack(folder / "code.zip", folder / "base.git")
    await platform.bench.pack(folder / "base.git", folder / "base.tar.gz")
    name = f"codexsys-code/processed_code/{hold.task_id}/base.tar.gz"
    await platform.objects.put(name, folder / "base.tar.gz")
    assert await platform.attempts.set_base(hold, base.model_copy(update={"object": name}))


async def _checkpoint(door: httpx2.AsyncClient) -> None:
    body = {"number": 1, "step": 1, "state": {}, "patch": b64encode(PATCH.encode()).decode()}

    async def sent() -> bool | None:
        try:
            return (await door.put("/v1/checkpoint", json=body)).is_success or None
        except httpx2.TransportError:
            return None

    await eventually(sent, seconds=20, what="the gateway takes the checkpoint")


@pytest.fixture(params=KEPT_ON)
async def task(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Abandoned]:
    async with (
        kept_on(request.param) as settings,
        serving(tmp_path, gateway_port=free_port(), **settings) as served,
        _abandoned(served) as found,
    ):
        yield found


async def _poisoned(task: Abandoned) -> None:
    await _until_over(
        task, lambda: task.platform.attempts.take_over(grace_seconds=0, most=0, limit=9)
    )


async def _cancelled_between_attempts(task: Abandoned) -> None:
    await task.queue_again()
    assert "diff.patch" in await task.user.artifacts(task.hold.task_id)
    await task.cancel()


async def _cancelled_after_its_worker_died(task: Abandoned) -> None:
    await task.cancel()
    await _until_over(
        task, lambda: task.platform.attempts.take_over(grace_seconds=0, most=3, limit=9)
    )


async def _expired_in_the_queue(task: Abandoned) -> None:
    await task.queue_again()
    await _until_over(task, lambda: task.platform.outbox.expire_queued(limit=9))


async def _cancelled_while_suspended(task: Abandoned) -> None:
    await task.ask(3600)
    assert "diff.patch" in await task.user.artifacts(task.hold.task_id)
    await task.cancel()


async def _not_answered(task: Abandoned) -> None:
    await task.ask(0.1)
    await _until_over(task, lambda: task.platform.questions.overdue(limit=9))


async def _until_over(task: Abandoned, step: Callable[[], Awaitable[object]]) -> None:
    """Do what a relay does until the task has ended."""

    async def over() -> bool | None:
        await step()
        found = await task.user.get(f"/tasks/{task.hold.task_id}")
        return True if found["status"] in TERMINAL else None

    await eventually(over, seconds=20, what="the task is over")


ENDINGS = {
    EndReason.POISONED: (_poisoned,),
    EndReason.CANCELLED: (
        _cancelled_between_attempts,
        _cancelled_after_its_worker_died,
        _cancelled_while_suspended,
    ),
    EndReason.QUEUE_TIMEOUT: (_expired_in_the_queue,),
    EndReason.ANSWER_TIMEOUT: (_not_answered,),
}


@pytest.mark.parametrize(
    ("wanted", "end"), [(reason, end) for reason, ends in ENDINGS.items() for end in ends]
)
async def test_the_last_checkpoint_stands_for_the_change(
    task: Abandoned, wanted: EndReason, end: Callable[[Abandoned], Awaitable[None]]
) -> None:
    task_id, user = task.hold.task_id, task.user
    before = await patch_of((await user.artifacts(task_id))["diff.patch"])
    await end(task)
    assert (await user.get(f"/tasks/{task_id}"))["end_reason"]["code"] == wanted
    item = (await user.artifacts(task_id))["diff.patch"]
    assert await patch_of(item) == before
    assert "\n+two" in before
    tree = {"a.txt": b"one\ntwo\n", "b.txt": b"b\n"}
    assert await tree_of(user, task_id) == tree
    assert (await user.client.delete(f"/api/v1/tasks/{task_id}")).is_success
    assert await user.artifacts(task_id) == {}
    gone = await user.client.get(f"/api/v1/tasks/{task_id}/workspace")
    assert (gone.status_code, gone.json()["code"]) == (404, "workspace_not_found")
