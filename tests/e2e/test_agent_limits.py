"""Limits of the built-in agent and the record of what it did, over the API, with agents in real sandboxes."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from tests.support.atif import must_be_atif
from tests.support.distributed import eventually
from tests.support.model_server import ModelServer, Step
from tests.support.models_file import models_file
from tests.support.place import FINISH, bash
from tests.support.shop import diff_of, open_shop, retried
from tests.support.users import User, zipped

pytestmark = pytest.mark.asyncio(loop_scope="module")
STEPS = 12
EARNED = 18
REMINDER = "Bring the change to a working state"


def added(count: int, *, begin: int = 0) -> list[Step]:
    """Return steps each of which adds a line of its own."""
    return [bash(f"echo line {n} >> README.md") for n in range(begin, begin + count)]


def looked(count: int) -> list[Step]:
    """Return steps none of which changes anything."""
    return [bash(f"echo look {n}") for n in range(count)]


@dataclass
class Case:
    """A script, and what must come of it."""

    script: list[Step]
    end: str
    calls: int
    """Requests that the model's server saw."""
    reminded: int | None = None
    """The first of them that held the reminder; none did: None."""
    lines: int = 0
    """Added by the change that is handed out."""
    limits: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    """What else the task says."""


ASKED, WAITED = "asks on its way", "asks when it was given more"
REJECTED, KILLED, COMMAND = "is rejected once", "kills its own agent", "is a command"
QUESTION: Step = {"tool": "ask_user", "arguments": {"question": "On?", "default": "yes"}}
CASES = {
    "gets on": Case(added(50), "steps_exhausted", EARNED, 11, EARNED),
    "gets nowhere": Case(looked(50), "steps_exhausted", STEPS, 11),
    "got on at first only": Case([*added(2), *looked(50)], "steps_exhausted", STEPS, 11, 2),
    "gets on and comes to an end": Case([*added(13), FINISH], "finished", 15, 11, 13),
    "has few steps": Case(added(50), "steps_exhausted", 4, None, 4, {"steps": 4}),
    "is short of time": Case([bash("echo line >> README.md; sleep 10"), FINISH], "finished", 3, 2, 1, {"wall_seconds": 42}),
    ASKED: Case([*added(6), QUESTION, *added(50, begin=6)], "steps_exhausted", EARNED, 11, EARNED - 1),
    WAITED: Case([*added(13), QUESTION, *added(50, begin=13)], "steps_exhausted", EARNED, 11, EARNED - 1),
    KILLED: Case([*added(1), bash("kill -9 $PPID")], "agent_crashed", 3, None, 1, {"attempts": 2}),
    REJECTED: Case([*added(1), FINISH, FINISH, *added(1, begin=1), FINISH], "finished", 6, None, 2, {"verify_rounds": 1}, {"checks": {"command": "grep -q 'line 1' README.md"}}),
    COMMAND: Case([], "finished", 0, None, 1, given={"engine": "command", "command": "echo line >> README.md"}),
}  # fmt: skip
Ended = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.scripts = {name: case.script for name, case in CASES.items()}
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ada(tmp_path_factory: pytest.TempPathFactory, models: ModelServer) -> AsyncIterator[User]:
    folder = tmp_path_factory.mktemp("limits")
    upstream = {"name": "scripts", "url": models.url("script"), "models": list(CASES)}
    file = models_file(folder, [upstream])
    async with open_shop(
        folder / "data", sandbox="local", worker_slots=4, relay_seconds=0.2, models_file=file
    ) as (_, user):
        yield user


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(ada: User) -> Ended:
    """Submit all at once, answer who asks, and wait for the ends."""

    async def see(name: str) -> dict[str, Any]:
        case = CASES[name]
        limits = {"steps": STEPS, "attempts": 1} | case.limits
        body = {"prompt": "See to README.md", "checks": {"strategy": "skip"}, "limits": limits}
        model = {"model": name} if case.script else {}
        task_id = await ada.submit(
            body | model | case.given, archive=zipped({"README.md": "one\n"})
        )
        if QUESTION in case.script:
            await answered(ada, task_id)
        return await ada.finished(task_id, seconds=150)

    tasks = await asyncio.gather(*map(see, CASES))
    return dict(zip(CASES, tasks, strict=True))


async def answered(ada: User, task_id: str) -> None:
    async def asked() -> dict[str, Any] | None:
        task: dict[str, Any] = await ada.get(f"/tasks/{task_id}")
        return task if task["status"] == "suspended" else None

    task = await eventually(asked, seconds=90, what="the agent has asked")
    body = {"question": task["questions"][0]["id"], "answer": "yes"}
    answer = await ada.client.post(f"/api/v1/tasks/{task_id}/answers", json=body)
    assert answer.is_success, answer.text


def sent(models: ModelServer, name: str) -> list[list[dict[str, Any]]]:
    """Return the messages of each call of a script."""
    return [body["messages"] for body in models.asked if body["model"] == name]


@pytest.mark.parametrize("name", CASES)
async def test_more_steps_are_earned_once_by_work_that_gets_on(
    name: str, ended: Ended, ada: User, models: ModelServer
) -> None:
    case, task = CASES[name], ended[name]
    log = await ada.log(task["id"], "agent")
    assert task["end_reason"]["code"] == case.end, log
    assert models.calls[name] == case.calls, log
    assert (await diff_of(ada, task["id"])).count("\n+line") == case.lines


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].script])
async def test_a_model_is_told_once_that_a_limit_is_near(
    name: str, ended: Ended, models: ModelServer
) -> None:
    assert ended
    told = [json.dumps(messages).count(REMINDER) for messages in sent(models, name)]
    before = len(told) if (first := CASES[name].reminded) is None else first - 1
    assert told == [0] * before + [1] * (len(told) - before)


async def trajectory(ada: User, task_id: str) -> dict[str, Any]:
    """Fetch a task's trajectory, which must be one by the rules of its format."""
    link = (await ada.artifacts(task_id))["trajectory.json"]["url"]
    answer = await ada.client.get(link)
    assert answer.is_success
    await asyncio.to_thread(must_be_atif, answer.content)
    return dict(answer.json())


@pytest.mark.parametrize("name", CASES)
async def test_however_it_ends_its_trajectory_holds_all_steps(
    name: str, ended: Ended, ada: User, models: ModelServer
) -> None:
    case, task = CASES[name], ended[name]
    record = await trajectory(ada, task["id"])
    replies = [step for step in record["steps"] if step["source"] == "agent"]
    # What it says while its process is killed is in no record of that process.
    kept = 1 if name == KILLED else case.calls
    assert len(replies) == kept
    assert record["agent"]["name"] == f"codexsys-{task['engine']}"
    assert any("See to README.md" in step["message"] for step in record["steps"])
    assert all(len(step["tool_calls"]) == len(step["observation"]["results"]) for step in replies)
    spent = sum(step["metrics"]["prompt_tokens"] for step in replies)
    assert record["final_metrics"]["total_prompt_tokens"] == spent
    if name in (ASKED, WAITED):
        (asking,) = [
            step for step in replies if step["tool_calls"][0]["function_name"] == "ask_user"
        ]
        assert "the answer is: yes" in asking["observation"]["results"][0]["content"]


async def test_a_retry_has_steps_and_a_record_of_its_own(
    ada: User, ended: Ended, models: ModelServer
) -> None:
    first = ended["gets on"]["id"]
    again = await retried(ada, first)
    task = await ada.finished(again, seconds=60)
    assert task["end_reason"]["code"] == "steps_exhausted"
    assert models.calls["gets on"] == 2 * EARNED
    assert (await diff_of(ada, again)).count("\n+line") == 2 * EARNED
    steps = (await trajectory(ada, again))["steps"]
    assert [step["source"] for step in steps].count("agent") == EARNED
