"""Several open questions of one task, answered by the form of its page."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from tests.support.api_service import Served, serving

from codexsys_api.auth import COOKIE, Sessions, principal_of_key
from codexsys_core.question import Question

GIT = {"prompt": "Mend it.", "source": {"git": {"url": "https://example.org/a/b.git"}}}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def suspended(served: Served, count: int) -> tuple[str, list[str]]:
    """Return the ids of a task that waits, and of its questions."""
    platform = served.platform
    task_id = (await served.client.post("/api/v1/tasks", json=GIT)).json()["id"]
    claim = await platform.attempts.claim(task_id, owner="own_a", lease_seconds=60)
    assert claim is not None
    now, ids = platform.clock.now(), [platform.ids.new("qst") for _ in range(count)]
    questions = [
        Question(id=each, task_id=task_id, text=f"What of {each}?", deadline=now) for each in ids
    ]
    await platform.questions.suspend(claim.hold, questions, answer_seconds=600)
    return task_id, ids


async def send(served: Served, task_id: str, asked: list[str], **words: str) -> int:
    """Send the form as the page has it, with these words to some of the questions."""
    sessions: Sessions = served.api.app.state.sessions
    cookie = sessions.cookie(await principal_of_key(served.platform, served.key))
    answer = await served.client.post(
        f"/tasks/{task_id}/answers",
        content=urlencode({"csrf": sessions.csrf(cookie), "question": asked} | words, doseq=True),
        headers={
            "cookie": f"{COOKIE}={cookie}",
            "content-type": "application/x-www-form-urlencoded",
        },
    )
    return answer.status_code


async def answers(served: Served, task_id: str) -> list[str | None]:
    task = (await served.client.get(f"/api/v1/tasks/{task_id}")).json()
    return [each["answer"] for each in task["questions"]]


async def test_all_are_answered_at_once_and_what_is_left_empty_stays_open(served: Served) -> None:
    task_id, asked = await suspended(served, 3)
    words = {f"words-{asked[0]}": "first", f"words-{asked[1]}": " ", f"option-{asked[2]}": "third"}
    assert await send(served, task_id, asked, **words) == 303
    assert await answers(served, task_id) == ["first", None, "third"]
    assert (await served.client.get(f"/api/v1/tasks/{task_id}")).json()["status"] == "suspended"
    assert await send(served, task_id, asked[1:2], **{f"words-{asked[1]}": "second"}) == 303
    assert (await served.client.get(f"/api/v1/tasks/{task_id}")).json()["status"] == "queued"


async def test_what_was_answered_meanwhile_hinders_no_other_answer(served: Served) -> None:
    task_id, asked = await suspended(served, 2)
    body = {"question": asked[0], "answer": "mine"}
    assert (await served.client.post(f"/api/v1/tasks/{task_id}/answers", json=body)).is_success
    words = {f"words-{asked[0]}": "too late", f"words-{asked[1]}": "in time"}
    assert await send(served, task_id, asked, **words) == 409
    assert await answers(served, task_id) == ["mine", "in time"]


async def test_a_form_without_an_answer_changes_nothing(served: Served) -> None:
    task_id, asked = await suspended(served, 2)
    assert await send(served, task_id, asked) == 422
    assert await send(served, task_id, ["qst_nonsense"], **{"words-qst_nonsense": "x"}) == 404
    assert await answers(served, task_id) == [None, None]
