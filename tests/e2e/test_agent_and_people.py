"""What people say to the built-in agent and what it answers them, over the API, with agents in real sandboxes."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.support.distributed import eventually
from tests.support.model_server import ModelServer, Step
from tests.support.models_file import models_file
from tests.support.place import FINISH, bash
from tests.support.shop import diff_of, open_shop
from tests.support.users import User, zipped

pytestmark = pytest.mark.asyncio(loop_scope="module")
ANSWER = "It says one: README.md:1"
CRITERIA = ["two is there", "three is there"]
SCRIPTS: dict[str, list[Step]] = {
    "works": [bash(f"echo {n} >> README.md; sleep 0.3") for n in range(50)],
    "explains": [
        bash("echo two >> README.md"),
        {"tool": "write", "arguments": {"path": "new.txt", "content": "x"}},
        {"tool": "finish", "arguments": {"status": "done", "summary": ANSWER, "criteria": []}},
    ],
    "begins": [bash("echo two >> README.md"), FINISH],
    "carries on": [bash("cat README.md; echo three >> README.md"), FINISH],
    "answers half": [
        bash("printf 'two\\nthree\\n' >> README.md"),
        {"tool": "finish", "arguments": {"status": "done", "summary": "s", "criteria": ["yes"]}},
        *[
            {"tool": "finish", "arguments": {"status": "done", "summary": "s", "criteria": ["yes", "also"]}}
        ]
        * 2,
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.scripts = SCRIPTS
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(tmp_path_factory: pytest.TempPathFactory, models: ModelServer) -> AsyncIterator[User]:
    folder = tmp_path_factory.mktemp("people")
    upstream = {"name": "scripts", "url": models.url("script"), "models": list(SCRIPTS)}
    file = models_file(folder, [upstream])
    async with open_shop(folder / "data", sandbox="local", models_file=file) as (_, user):
        yield user


async def submitted(ada: User, model: str, **more: Any) -> str:
    body = {"prompt": "See to README.md", "model": model, "checks": {"strategy": "skip"}}
    archive = None if "source" in more else zipped({"README.md": "one\n"})
    return await ada.submit(body | more, archive=archive)


def told(models: ModelServer, model: str) -> list[str]:
    """Return the outputs of tools that the last call of a script held."""
    last = [body for body in models.asked if body["model"] == model][-1]
    return [each["content"] for each in last["messages"] if each["role"] == "tool"]


async def test_a_message_reaches_an_agent_at_work_once(ada: User, models: ModelServer) -> None:
    task_id = await submitted(ada, "works")

    async def at_work() -> bool | None:
        return True if models.calls["works"] > 1 else None

    await eventually(at_work, seconds=60, what="the agent works")
    words = "Mind the <gap> please"
    sent = await ada.client.post(f"/api/v1/tasks/{task_id}/messages", json={"text": words})
    assert sent.is_success, sent.text

    async def delivered() -> bool | None:
        (message,) = (await ada.get(f"/tasks/{task_id}/messages"))["items"]
        return True if message["delivered_at"] else None

    await eventually(delivered, seconds=60, what="the agent has read it")
    seen = models.calls["works"]

    async def went_on() -> bool | None:
        return True if models.calls["works"] > seen + 1 else None

    await eventually(went_on, seconds=60, what="the agent goes on")
    last = [body for body in models.asked if body["model"] == "works"][-1]
    assert json.dumps(last["messages"]).count(words) == 1
    assert (await ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    await ada.finished(task_id, seconds=60)
    events = (await ada.get(f"/tasks/{task_id}/events?after=0"))["items"]
    assert [each["type"] for each in events].count("agent.message") == 1


async def test_an_explanation_changes_nothing_and_is_an_answer(
    ada: User, models: ModelServer
) -> None:
    task_id = await submitted(ada, "explains", mode="explain")
    task = await ada.finished(task_id, seconds=60)
    assert (task["status"], task["verdict"], task["diff"]) == ("succeeded", None, None), task
    refused, unknown = told(models, "explains")[:2]
    assert "Read-only file system" in refused
    assert "there is no tool 'write'" in unknown
    artifacts = await ada.artifacts(task_id)
    assert artifacts["diff.patch"]["size"] == 0
    answer = (await ada.client.get(artifacts["answer.md"]["url"])).text
    assert ANSWER in answer


async def test_a_follow_up_begins_with_the_result_of_the_first(
    ada: User, models: ModelServer
) -> None:
    first = await submitted(ada, "begins")
    assert (await ada.finished(first, seconds=60))["status"] == "succeeded"
    # Says little, but stands on something: nobody is asked what it means.
    more = {"source": {"task": first}, "prompt": "Go on"}
    second = await submitted(ada, "carries on", **more)
    task = await ada.finished(second, seconds=60)
    assert (task["status"], task["diff"]["insertions"]) == ("succeeded", 2), task
    assert told(models, "carries on")[0] == "exit 0\none\ntwo\n"
    assert "+two\n+three\n" in await diff_of(ada, second)
    assert models.gated["carries on"] == 0


async def test_each_acceptance_criterion_is_answered(ada: User, models: ModelServer) -> None:
    requirements = {"acceptance": CRITERIA}
    task_id = await submitted(ada, "answers half", requirements=requirements)
    assert (await ada.finished(task_id, seconds=60))["status"] == "succeeded"
    assert "AC-2" in told(models, "answers half")[1]  # one was left out, so it was not taken
    async with httpx2.AsyncClient(trust_env=False) as anybody:
        link = (await ada.artifacts(task_id))["report.json"]["url"]
        report = (await anybody.get(link)).json()
    answers = [{"criterion": CRITERIA[0], "answer": "yes"}, {"criterion": CRITERIA[1], "answer": "also"}]  # fmt: skip
    assert report["criteria"] == answers
