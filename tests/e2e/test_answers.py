"""Answers over the API and from the command line."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_service import Served, serving
from tests.support.operator import operate

from codexsys_core.question import Question

GIT = {"prompt": "Mend it.", "source": {"git": {"url": "https://example.org/a/b.git"}}}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def suspended(served: Served, text: str = "Red or blue?") -> tuple[str, str]:
    """Return the ids of a task that waits, and of its question."""
    platform = served.platform
    task_id = (await served.client.post("/api/v1/tasks", json=GIT)).json()["id"]
    claim = await platform.attempts.claim(task_id, owner="own_a", lease_seconds=60)
    assert claim is not None
    question = Question(
        id=platform.ids.new("qst"),
        task_id=task_id,
        text=text,
        options=["red", "blue"],
        deadline=platform.clock.now(),
    )
    await platform.questions.suspend(claim.hold, [question], answer_seconds=600)
    return task_id, question.id


async def test_a_question_is_shown_and_answered_once(served: Served) -> None:
    task_id, question_id = await suspended(served)
    path = f"/api/v1/tasks/{task_id}"
    shown = (await served.client.get(path)).json()
    assert shown["status"] == "suspended"
    (question,) = shown["questions"]
    assert (question["id"], question["options"]) == (question_id, ["red", "blue"])
    assert (question["default"], question["answer"]) == (None, None)
    (listed,) = (await served.client.get("/api/v1/tasks")).json()["items"]
    assert listed["questions"] == shown["questions"]

    body = {"question": question_id, "answer": "red"}
    answered = await served.client.post(f"{path}/answers", json=body)
    assert answered.status_code == 200
    assert answered.json()["status"] == "queued"
    assert answered.json()["questions"][0]["answer"] == "red"
    late = await served.client.post(f"{path}/answers", json=body | {"answer": "blue"})
    assert (late.status_code, late.json()["code"]) == (409, "already_answered")


async def test_of_answers_at_once_one_wins(served: Served) -> None:
    task_id, question_id = await suspended(served)
    answers = await asyncio.gather(
        *(
            served.client.post(
                f"/api/v1/tasks/{task_id}/answers",
                json={"question": question_id, "answer": f"number {number}"},
            )
            for number in range(8)
        )
    )
    assert sorted(each.status_code for each in answers) == [200] + [409] * 7
    assert {each.json().get("code") for each in answers if each.status_code == 409} == {
        "already_answered"
    }
    (won,) = [number for number, each in enumerate(answers) if each.status_code == 200]
    (question,) = (await served.client.get(f"/api/v1/tasks/{task_id}")).json()["questions"]
    assert question["answer"] == f"number {won}"
    events = (await served.client.get(f"/api/v1/tasks/{task_id}/events?after=0")).json()["items"]
    assert [each["type"] for each in events].count("task.answered") == 1


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"question": "qst_unknown"}, 404, "question_not_found"),
        ({"question": "qst_" + "0" * 26}, 404, "question_not_found"),
        ({"question": "qst_ü' OR 1=1"}, 404, "question_not_found"),
        ({"answer": ""}, 422, "invalid"),
        ({"answer": "x" * 10_001}, 422, "invalid"),
        ({"answer": "\ud800"}, 400, "bad_json"),
        ({"more": 1}, 422, "invalid"),
    ],
)
async def test_a_wrong_answer_changes_nothing(
    served: Served, change: dict[str, Any], status: int, code: str
) -> None:
    task_id, question_id = await suspended(served)
    body = {"question": question_id, "answer": "red"} | change
    path = f"/api/v1/tasks/{task_id}/answers"
    headers = {"Content-Type": "application/json"}
    refused = await served.client.post(path, content=json.dumps(body), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    shown = (await served.client.get(f"/api/v1/tasks/{task_id}")).json()
    assert shown["questions"][0]["answer"] is None


async def test_an_answer_after_the_end_is_refused(served: Served) -> None:
    task_id, question_id = await suspended(served)
    await served.client.post(f"/api/v1/tasks/{task_id}/cancel")
    body = {"question": question_id, "answer": "red"}
    refused = await served.client.post(f"/api/v1/tasks/{task_id}/answers", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "task_over")


async def test_the_command_line_answers(served: Served, tmp_path: Path) -> None:
    task_id, _ = await suspended(served)
    variables = {"CODEXSYS_URL": served.url, "CODEXSYS_API_KEY": served.key}
    code, said, _ = await operate(tmp_path, "answer", task_id, "blue", variables=variables)
    assert (code, said) == (0, f"{task_id}: queued\n")
    shown = (await served.client.get(f"/api/v1/tasks/{task_id}")).json()
    assert shown["questions"][0]["answer"] == "blue"
    code, _, told = await operate(tmp_path, "answer", task_id, "red", variables=variables)
    assert code == 1
    assert "asks nothing" in told
