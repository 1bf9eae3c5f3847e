"""A task that says too little is asked about before any sandbox is made for it, in one process and in many."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.e2e.conftest import SETTINGS
from tests.support.api_service import client_of
from tests.support.distributed import Fleet, eventually
from tests.support.model_server import ModelServer, Step
from tests.support.models_file import models_file
from tests.support.operator import operate
from tests.support.place import FINISH, bash
from tests.support.shop import open_shop
from tests.support.users import User, user, zipped
from tests.support.wheels import SETUP

from codexsys_core.question import DECIDE_YOURSELF

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.stack]

PROMPT = "Make it better."
FILES = {
    "calc.py": "def two():\n    return 1\n",
    "test_calc.py": "from calc import two\n\n\ndef test_two():\n    assert two() == 2\n",
}
MEND: list[Step] = [bash("sed -i 's/return 1/return 2/' calc.py"), FINISH]
RED: dict[str, Any] = {
    "text": "Which number is two() to return?",
    "options": ["one", "two"],
    "default": "two",
}
DEEP: dict[str, Any] = {"text": "When is it done?"}


def asks(*questions: dict[str, Any]) -> str:
    return json.dumps({"questions": questions})


ASKS_AT_WORK = "asks at work"
ASK: Step = {"tool": "ask_user", "arguments": {"question": "One or two?"}}
GATES: dict[str, list[Step]] = {
    "asks": [asks(RED, DEEP), '{"ready": true}'],
    "asks once": [asks(RED), '{"ready": true}'],
    "asks late": [asks(RED), '{"ready": true}'],
    "asks for ever": [asks(RED, DEEP, DEEP)],
    "is silent": [{"fault": "hang"}],
    "is lost": [401],
    "babbles": ["Certainly! I would love to help."],
    "is ready": ['```json\n{"ready": true}\n```'],
}


@dataclass
class House:
    """A platform, its user, its model, and the folder in which its backends keep sandboxes."""

    ada: User
    models: ModelServer
    folder: Path
    fleet: Fleet | None = None
    late: str = ""
    """A task whose question nobody answers: a minute is the least that one waits."""

    async def submit(self, model: str, prompt: str = PROMPT, **more: Any) -> str:
        """Make a task whose model begins its script and its gate's anew."""
        self.models.calls[model] = self.models.gated[model] = 0
        body = {
            "prompt": prompt,
            "model": model,
            "checks": {"command": "python3 -m pytest -q"},
            "environment": {"setup": SETUP},
            "limits": {"attempts": 1, "verify_rounds": 0},
        }
        return await self.ada.submit(body | more, archive=zipped(FILES))

    async def waits(self, task_id: str, asked: int) -> list[dict[str, Any]]:
        """Return the open questions once so many were asked in all."""

        async def look() -> list[dict[str, Any]] | None:
            task = await self.ada.get(f"/tasks/{task_id}")
            assert task["status"] not in ("succeeded", "failed", "timed_out"), task["end_reason"]
            there = task["status"] == "suspended" and len(task["questions"]) == asked
            return [each for each in task["questions"] if not each["answer"]] if there else None

        return await eventually(look, seconds=60, what=f"{task_id} waits")

    async def answer(self, task_id: str, question: dict[str, Any], text: str) -> dict[str, Any]:
        body = {"question": question["id"], "answer": text}
        answer = await self.ada.client.post(f"/api/v1/tasks/{task_id}/answers", json=body)
        assert answer.is_success, answer.text
        task: dict[str, Any] = answer.json()
        return task

    async def sandboxes(self, task_id: str) -> list[dict[str, Any]]:
        attempts = (await self.ada.get(f"/tasks/{task_id}/attempts"))["items"]
        return [row for attempt in attempts for row in attempt["sandboxes"]]

    async def rounds(self, task_id: str) -> list[str | None]:
        """Return how the rounds ended, after making sure that no backend ever knew of them."""
        rows = [row for row in await self.sandboxes(task_id) if row["role"] == "preflight"]
        assert not {row["id"] for row in rows} & {path.name for path in self.folder.rglob("sbx_*")}
        return [row["end_reason"] for row in rows]

    async def told(self, task_id: str) -> list[str]:
        """Return what the events say of the gate."""
        events = (
            await self.ada.get(f"/tasks/{task_id}/events", headers={"Accept": "application/json"})
        )["items"]
        return [each["data"]["outcome"] for each in events if each["type"] == "task.preflight"]

    async def text(self, task_id: str, name: str) -> str:
        link = (await self.ada.artifacts(task_id))[name]["url"]
        async with httpx2.AsyncClient(trust_env=False) as anybody:  # the link is all it takes
            return (await anybody.get(link)).text


@pytest.fixture(scope="module")
def models() -> Iterator[ModelServer]:
    with ModelServer() as server:
        server.gates = GATES
        server.scripts = dict.fromkeys(GATES, MEND) | {ASKS_AT_WORK: [ASK, *MEND]}
        yield server


@asynccontextmanager
async def one_process(folder: Path, models: ModelServer, wheels: Path) -> AsyncIterator[House]:
    settings: dict[str, Any] = {
        "worker_slots": 4,
        "relay_seconds": 0.2,
        "sandbox_wheels": wheels,
        "models_file": catalogue(folder, models),
    }
    async with open_shop(folder / "data", sandbox="local", **settings) as (_, ada):
        yield House(ada, models, folder)


@asynccontextmanager
async def many(
    folder: Path, models: ModelServer, wheels: Path, **more: str
) -> AsyncIterator[House]:
    settings = {
        "CODEXSYS_MODELS_FILE": str(catalogue(folder, models)),
        "CODEXSYS_RELAY_SECONDS": "0.5",
        "CODEXSYS_SANDBOX_WHEELS": str(wheels),
    }
    settings = SETTINGS | settings | more
    async with Fleet(folder=folder / "hosts", redis_number=9, settings=settings) as fleet:
        services = ("api", "worker", "gateway", "relay")
        api, *_ = await asyncio.gather(*(fleet.start(service, 1) for service in services))
        async with user(fleet.servers, api.url, "ours") as ada:
            yield House(ada, models, folder, fleet)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[one_process, many])
async def house(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    models: ModelServer,
    wheels: Path,
) -> AsyncIterator[House]:
    async with request.param(tmp_path_factory.mktemp("preflight"), models, wheels) as opened:
        opened.late = await opened.submit("asks late", answer_within_seconds=60)
        yield opened


def catalogue(folder: Path, models: ModelServer) -> Path:
    upstream = {"name": "scripts", "url": models.url("script"), "models": [*GATES, ASKS_AT_WORK]}
    return models_file(folder / "models", [upstream])


async def test_a_thin_task_is_asked_about_before_any_sandbox(house: House, tmp_path: Path) -> None:
    task_id = await house.submit("asks")
    red, deep = await house.waits(task_id, 2)
    assert (red["text"], red["options"], red["default"]) == (*RED.values(),)
    assert (deep["text"], deep["default"]) == (DEEP["text"], DECIDE_YOURSELF)
    (row,) = await house.sandboxes(task_id)
    assert (row["role"], row["state"], row["end_reason"]) == ("preflight", "ended", "suspended")
    assert await house.rounds(task_id) == ["suspended"]

    await answer_on_its_page(house, task_id, red, "two, always")
    assert len(await house.waits(task_id, 2)) == 1
    variables = {"CODEXSYS_URL": str(house.ada.client.base_url), "CODEXSYS_API_KEY": key_of(house)}
    code, said, _ = await operate(
        tmp_path, "answer", task_id, "when the test passes", variables=variables
    )
    assert (code, said) == (0, f"{task_id}: queued\n")

    task = await house.ada.finished(task_id, seconds=120)
    assert (task["status"], task["verdict"]) == ("succeeded", "verified"), task["checks"]
    assert await house.rounds(task_id) == ["suspended", "ready"]
    assert await house.told(task_id) == ["asks", "ready"]
    assert (house.models.gated["asks"], task["usage"]["calls"]) == (
        2,
        2 + house.models.calls["asks"],
    )
    prompt = await house.text(task_id, "prompt.txt")
    assert "calc.py" in prompt.split("== tools")[0]  # what the gate was shown stands before
    assert "two, always" in prompt.split("Answers of the person who asked")[1]
    assert "when the test passes" in prompt.split("Answers of the person who asked")[1]
    assert RED["text"] in await house.text(task_id, "llm_response.txt")


async def answer_on_its_page(
    house: House, task_id: str, question: dict[str, Any], text: str
) -> None:
    async with client_of(str(house.ada.client.base_url)) as browser:
        signed_in = await browser.post("/sign-in", data={"key": key_of(house)})
        assert signed_in.headers["location"] == "/tasks"
        page = (await browser.get(f"/tasks/{task_id}")).text
        assert page.count('name="question"') == 2
        assert question["text"] in page
        assert f"Default: {DECIDE_YOURSELF}" in page
        form = {"csrf": csrf_of(page), "question": question["id"], f"words-{question['id']}": text}
        answered = await browser.post(f"/tasks/{task_id}/answers", data=form)
        assert answered.status_code == 303, answered.text


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def key_of(house: House) -> str:
    return str(house.ada.client.headers["Authorization"]).removeprefix("Bearer ")


async def test_there_are_two_rounds_at_most(house: House) -> None:
    task_id = await house.submit("asks for ever")
    for asked in (3, 6):
        for question in await house.waits(task_id, asked):
            await house.answer(task_id, question, "I do not mind")
    task = await house.ada.finished(task_id, seconds=120)
    assert task["verdict"] == "verified"
    assert await house.rounds(task_id) == ["suspended", "suspended"]
    assert house.models.gated["asks for ever"] == 2


@pytest.mark.parametrize(
    ("prompt", "more"),
    [
        (PROMPT, {"clarify": "assume"}),
        (PROMPT, {"clarify": "never"}),
        (PROMPT, {"requirements": {"functional": ["two() is 2"]}}),
        (PROMPT, {"mode": "explain"}),
        (PROMPT, {"engine": "command", "command": "sed -i 's/return 1/return 2/' calc.py"}),
        ("Fix the bug in calc.py", {}),
    ],
)
async def test_nobody_else_pays_for_it(house: House, prompt: str, more: dict[str, Any]) -> None:
    task_id = await house.submit("asks", prompt, **more)
    task = await house.ada.finished(task_id, seconds=120)
    assert task["status"] == "succeeded", (task["end_reason"], task["checks"])
    assert (task["questions"], await house.rounds(task_id)) == ([], [])
    assert house.models.gated["asks"] == 0


@pytest.mark.parametrize(
    ("model", "ended"), [("is lost", "failed"), ("babbles", "failed"), ("is ready", "ready")]
)
async def test_whatever_the_model_says_the_task_goes_on(
    house: House, model: str, ended: str
) -> None:
    task_id = await house.submit(model)
    task = await house.ada.finished(task_id, seconds=120)
    assert (task["verdict"], task["questions"]) == ("verified", [])
    assert await house.rounds(task_id) == await house.told(task_id) == [ended]


async def test_a_spent_budget_is_met_by_the_agent_not_by_the_gate(house: House) -> None:
    task_id = await house.submit("is ready", limits={"attempts": 1, "tokens": 100})
    task = await house.ada.finished(task_id, seconds=60)
    assert task["end_reason"]["code"] == "tokens_exhausted"
    assert await house.rounds(task_id) == ["failed"]


async def test_cancelled_while_it_is_asked(house: House) -> None:
    task_id = await house.submit("asks")
    await house.waits(task_id, 2)
    assert (await house.ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    task = await house.ada.finished(task_id, seconds=30)
    assert task["end_reason"]["code"] == "cancelled"
    assert [row["role"] for row in await house.sandboxes(task_id)] == ["preflight"]


async def test_cancelled_during_the_call(house: House) -> None:
    task_id = await house.submit("is silent")

    async def called() -> bool | None:
        return True if house.models.gated["is silent"] else None

    await eventually(called, seconds=60, what="the gate asks")
    assert (await house.ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    task = await house.ada.finished(task_id, seconds=15)  # the model's server would take 30
    assert task["end_reason"]["code"] == "cancelled"
    assert [row["role"] for row in await house.sandboxes(task_id)] == ["preflight"]


async def test_the_default_at_the_deadline_goes_on(house: House) -> None:
    task = await house.ada.finished(house.late, seconds=180)
    assert task["verdict"] == "verified"
    assert [each["answer"] for each in task["questions"]] == ["two"]
    assert await house.rounds(house.late) == ["suspended", "ready"]


async def test_a_worker_killed_before_it_hears_the_answer(
    tmp_path: Path, models: ModelServer, wheels: Path
) -> None:
    lease = {"CODEXSYS_LEASE_SECONDS": "3", "CODEXSYS_TAKEOVER_GRACE_SECONDS": "1"}
    async with many(tmp_path, models, wheels, **lease) as house:
        assert house.fleet is not None
        (worker,) = house.fleet.named("worker")
        await worker.stop()
        crash = {"CODEXSYS_CRASH_AT": "model_calls.answer:after", "CODEXSYS_TESTING": "1"}
        dying = house.fleet.again("worker-1", **crash)
        task_id = await house.submit("asks for ever")

        async def dead() -> bool | None:
            return True if dying.process.poll() is not None else None

        await eventually(dead, seconds=60, what="the worker dies")
        await house.fleet.start("worker", 2)
        for question in await house.waits(task_id, 3):
            await house.answer(task_id, question, "two")
        task = await house.ada.finished(task_id, seconds=120)
        assert task["verdict"] == "verified"
        # A round that nobody heard counts, too: two, and no more.
        assert await house.rounds(task_id) == ["taken_over", "suspended"]
        assert models.gated["asks for ever"] == 2


async def test_an_agents_question_is_answered_at_another_worker(
    tmp_path: Path, models: ModelServer, wheels: Path
) -> None:
    async with many(tmp_path, models, wheels) as house:
        assert house.fleet is not None
        task_id = await house.submit(ASKS_AT_WORK, "Fix calc.py")
        (question,) = await house.waits(task_id, 1)
        (worker,) = house.fleet.named("worker")
        await worker.stop()
        await house.fleet.start("worker", 2)
        assert {row["state"] for row in await house.sandboxes(task_id)} == {"ended"}
        await house.answer(task_id, question, "two")
        task = await house.ada.finished(task_id, seconds=120)
        assert task["verdict"] == "verified", task
        assert "the answer is: two" in json.dumps(models.asked[-1]["messages"])


async def test_without_a_gateway_the_gate_lets_it_pass(
    tmp_path: Path, models: ModelServer, wheels: Path
) -> None:
    async with many(tmp_path, models, wheels) as house:
        assert house.fleet is not None
        (gateway,) = house.fleet.named("gateway")
        await gateway.stop()
        task_id = await house.submit("asks once")

        async def passed() -> bool | None:
            return True if await house.told(task_id) == ["failed"] else None

        await eventually(passed, seconds=60, what="the gate gives up")
        await house.fleet.start("gateway", 1)
        task = await house.ada.finished(task_id, seconds=120)
        assert task["verdict"] == "verified"
        assert await house.rounds(task_id) == ["failed"]
