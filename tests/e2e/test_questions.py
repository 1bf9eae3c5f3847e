"""An agent asks, its task waits without a sandbox, an answer lets it go on: on dummy sandboxes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import free_port
from tests.support.place import Place, open_place, reason

from codexsys_core.end_reasons import EndReason
from codexsys_core.environment import Environment
from codexsys_core.errors import Conflict
from codexsys_core.moves import AttemptState, TaskStatus
from codexsys_core.question import DECIDE_YOURSELF, Question
from codexsys_core.sandbox import SandboxState

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = {"README.md": "one\n"}
PATCH = "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1,2 @@\n one\n+two\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("questions") / "data"
    settings: dict[str, Any] = {"worker_slots": 4, "relay_seconds": 0.1}
    async with open_place(folder, sandbox="dummy", api_port=free_port(), **settings) as running:
        yield running


async def asked(place: Place, *questions: object, **spec: Any) -> str:
    """Submit a task whose agent asks these."""
    ask = json.dumps(questions)
    environment = Environment(variables={"DUMMY_AGENT_ASK": ask, "DUMMY_PATCH": PATCH})
    source = await place.zip_source(FILES)
    return await place.submit(source, environment=environment, **spec)


async def waiting(place: Place, task_id: str, number: int = 1) -> list[Question]:
    """Return the task's questions once so many were asked and it waits."""
    async with asyncio.timeout(60):
        while True:
            task = await place.platform.tasks.get(task_id, tenant_id=place.tenant)
            assert not task.status.terminal, task.end
            if task.status is TaskStatus.SUSPENDED and task.asked == number:
                return (await place.platform.questions.of_tasks([task_id]))[task_id]
            await asyncio.sleep(0.05)


async def answer(place: Place, question: Question, text: str) -> Question:
    return await place.platform.questions.answer(
        question.task_id, question.id, text, tenant_id=place.tenant, key_id="key_ends"
    )


async def test_answers_let_the_same_attempt_go_on(place: Place) -> None:
    task_id = await asked(
        place, {"text": "Red or blue?", "options": ["red", "blue"]}, {"text": "How deep?"}
    )
    (first,) = await waiting(place, task_id)
    assert (first.text, first.options) == ("Red or blue?", ["red", "blue"])
    await place.clean()
    kept = await place.platform.checkpoints.last(task_id)
    assert kept is not None
    assert (await place.platform.objects.get(f"{kept.object}/patch")).endswith(b"\n+two\n")
    rows = await place.platform.sandboxes.of_task(task_id)
    assert {row.state for row in rows} == {SandboxState.ENDED}
    await answer(place, first, "red")
    _, second = await waiting(place, task_id, 2)
    assert second.text == "How deep?"
    with pytest.raises(Conflict):
        await answer(place, first, "blue")
    await answer(place, second, "very")
    ended = await place.until(task_id)
    assert reason(ended) is EndReason.FINISHED
    (attempt,) = await place.platform.attempts.of_task(task_id, tenant_id=place.tenant)
    assert (attempt.state, attempt.takeovers) == (AttemptState.ENDED, 0)
    assert attempt.fence == 3
    await place.clean()


async def test_a_person_who_does_not_want_to_be_asked_is_not(place: Place) -> None:
    task_id = await asked(
        place, {"text": "Red?", "default": "blue"}, {"text": "How deep?"}, clarify="assume"
    )
    assert reason(await place.until(task_id)) is EndReason.FINISHED
    found = (await place.platform.questions.of_tasks([task_id]))[task_id]
    assert [each.answer for each in found] == ["blue", DECIDE_YOURSELF]


async def test_the_deadline_takes_the_default_or_ends_the_task(place: Place) -> None:
    mild = await asked(place, {"text": "Red?", "default": "yes"}, answer_within_seconds=1)
    strict = await asked(place, {"text": "Red?"}, answer_within_seconds=1)
    assert reason(await place.until(mild)) is EndReason.FINISHED
    ended = await place.until(strict)
    assert (ended.status, reason(ended)) == (TaskStatus.TIMED_OUT, EndReason.ANSWER_TIMEOUT)


async def test_what_is_no_question_is_a_crash(place: Place) -> None:
    bad = [{"text": ""}, {"text": "x", "more": 1}, ["x"], {"text": "x" * 5000}]
    tasks = [await asked(place, each) for each in bad]
    assert {reason(await place.until(task)) for task in tasks} == {EndReason.AGENT_CRASHED}


async def test_an_agent_that_asks_on_and_on_is_stopped(place: Place) -> None:
    many = [{"text": f"Number {number}?", "default": "go on"} for number in range(30)]
    ended = await place.until(await asked(place, *many, clarify="never"), seconds=120)
    assert reason(ended) is EndReason.AGENT_CRASHED
    assert ended.asked == 20
