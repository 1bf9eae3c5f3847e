"""Model calls over several upstreams: who is asked how often, what it costs, and what the agent is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.support.api_service import free_port
from tests.support.doors import CHAT, Door, agents_sandbox, open_door
from tests.support.model_server import ModelServer
from tests.support.models_file import FREE, models_file

from codexsys_core.limits import Limits
from codexsys_core.task import Usage

PRICED = {"input_usd": 1000, "output_usd": 2000}
"""In dollars: a thousandth for an input token, two for an output token."""
ANSWER_USD = (11 * 1000 + 5 * 2000) / 1e6
MUCH = Limits(calls=50, tokens=10_000_000, cost_usd=5000)
SHORT = CHAT | {"max_tokens": 50}
STREAM = SHORT | {"stream": True}
NEXT = {"401": 0, "404": 0, "429": 0, "500": 0, "mute": 1, "hang": 1}
"""What an upstream does so that the next one is asked, and how often it may have to be paid."""
BODIES = {"streamed": STREAM, "whole": SHORT}
ALONE = {
    "401": (401, "model_auth", 1, 0),
    "402": (401, "model_auth", 1, 0),
    "403": (401, "model_auth", 1, 0),
    "404": (400, "model_refused", 1, 0),
    "context": (400, "context_length_exceeded", 1, 0),
    "429": (429, "model_busy", 4, 0),
    "429long": (429, "model_busy", 1, 0),
    "500": (502, "model_unavailable", 4, 0),
    "hang": (502, "model_unavailable", 2, 2),
    "mute": (502, "model_unavailable", 2, 2),
    "nonsense": (502, "model_unavailable", 2, 2),
}
"""By fault: status and code that the agent hears, tries, and how many of them are paid for."""
PASSES = {"429once": 2, "500twice": 3}
"""What passes, and at which try."""
BROKEN = ("cut", "short", "stall")
SILENT = ("hang", "stall")
Serving = dict[str, dict[str, Any]]
MODELS: dict[str, Serving] = {
    **{f"{f}, then fine, {b}": {f: PRICED, "fine": PRICED} for f in NEXT for b in BODIES},
    **{f"{f} alone": {f: PRICED} for f in (*ALONE, *PASSES, "away", "uncounted", "slow")},
    **{f"{f}, then fine": {f: PRICED, "fine": PRICED} for f in (*BROKEN, "away")},
    "429long, asked again": {"429long": PRICED},
    "hang, left": {"hang": PRICED},
    "stall, left": {"stall": PRICED},
    "renamed": {"fine": FREE | {"served_as": "vendor/m-2", "output_tokens": 30}},
    "dear, then free": {"500": PRICED, "fine": FREE},
    "unknown, then priced": {"500": {}, "fine": PRICED},
    "wild": {"fine": {}},
}
"""Each model with who serves it, in the order in which they are asked: its own, so that none rests for another."""
pytestmark = pytest.mark.asyncio(loop_scope="module")
each_body = pytest.mark.parametrize("body", BODIES)


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(
    tmp_path_factory: pytest.TempPathFactory, server: ModelServer
) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("upstreams")
    upstreams: dict[str, dict[str, Any]] = {}
    for fault in dict.fromkeys(fault for serving in MODELS.values() for fault in serving):
        models = {name: serving[fault] for name, serving in MODELS.items() if fault in serving}
        (folder / f"{fault}.key").write_text(f"sk-of-{fault}-upstream\n")
        upstreams[fault] = {
            "name": fault,
            "url": server.url(fault),
            "key_file": f"{fault}.key",
            "parallel": 2 if fault == "slow" else 64,
            "first_byte_seconds": 0.5 if fault in SILENT else 20,
            "idle_seconds": 0.5 if fault in SILENT else 20,
            "models": models,
        }
    upstreams["away"]["url"] = f"http://127.0.0.1:{free_port()}/v1"
    ordered = sorted(upstreams.values(), key=lambda each: each["name"] == "fine")
    file = models_file(folder, ordered)
    async with open_door(folder / "data", MUCH, model="wild", models_file=file) as door:
        yield door


@dataclass
class Agent:
    """An agent's sandbox of its own at the one gateway."""

    door: Door
    token: str
    task_id: str

    async def ask(self, body: dict[str, Any] = STREAM, **more: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.token}"}
        return await self.door.client.post(
            "/v1/chat/completions", json=body, headers=headers, **more
        )

    async def usage(self) -> Usage:
        await self.door.gateway.quiet()
        return await self.door.platform.wallet.usage(self.task_id)

    async def text(self, stream: str) -> bytes:
        await self.door.gateway.quiet()
        chunks = await self.door.platform.logs.read(self.task_id, stream, 0)
        return b"".join(chunk.text for chunk in chunks)


async def agent_of(door: Door, model: str, limits: Limits = MUCH) -> Agent:
    token = door.platform.ids.new("tok")
    _, sandbox = await agents_sandbox(door.platform, limits, model=model, token=token)
    return Agent(door, token, sandbox.task_id)


@each_body
@pytest.mark.parametrize("fault", NEXT)
async def test_the_next_upstream_answers_where_the_first_fails(
    place: Door, server: ModelServer, fault: str, body: str
) -> None:
    agent = await agent_of(place, model := f"{fault}, then fine, {body}")
    answer = await agent.ask(BODIES[body])
    assert answer.status_code == 200, answer.text
    assert (server.met[fault, model], server.met["fine", model]) == (1, 1)
    usage, paid = await agent.usage(), NEXT[fault]
    assert usage.calls == 1 + paid
    assert (usage.cost_usd > 0.05 + ANSWER_USD) == bool(paid), "what may be paid for counts"
    assert (await agent.text("llm_response")).count(b"== reply") == 1


async def test_an_upstream_that_nobody_listens_at_is_passed_by(place: Door) -> None:
    agent = await agent_of(place, "away, then fine")
    assert (await agent.ask()).status_code == 200
    usage = await agent.usage()
    assert (usage.calls, usage.cost_usd) == (1, ANSWER_USD)


@pytest.mark.parametrize("fault", ALONE)
async def test_an_upstream_alone_is_tried_as_often_as_the_table_says(
    place: Door, server: ModelServer, fault: str
) -> None:
    status, code, tries, paid = ALONE[fault]
    agent = await agent_of(place, model := f"{fault} alone")
    answer = await agent.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert server.met[fault, model] == tries
    assert answer.headers.get("retry-after") == {"429": "5", "429long": "60"}.get(fault)
    usage = await agent.usage()
    assert usage.calls == max(1, paid)
    assert bool(usage.cost_usd) == bool(paid)
    assert usage.output_tokens == 50 * paid
    assert await agent.text("prompt"), "what the model was given is kept, whatever became of it"


async def test_nobody_waits_for_an_upstream_that_wants_to_be_left_alone_for_long(
    place: Door, server: ModelServer
) -> None:
    agent = await agent_of(place, model := "429long, asked again")
    answers = [await asyncio.wait_for(agent.ask(), 30) for _ in range(3)]
    told = [(each.status_code, each.headers["retry-after"]) for each in answers]
    assert told == [(429, "60"), (429, "5"), (429, "5")]
    assert server.met["429long", model] == 1


@pytest.mark.parametrize("fault", PASSES)
async def test_what_passes_is_waited_for_and_paid_once(
    place: Door, server: ModelServer, fault: str
) -> None:
    agent = await agent_of(place, model := f"{fault} alone")
    answer = await agent.ask()
    assert answer.text.endswith("data: [DONE]\n\n"), answer.text
    assert server.met[fault, model] == PASSES[fault]
    usage = await agent.usage()
    assert (usage.calls, usage.cost_usd) == (1, ANSWER_USD)


async def test_an_upstream_alone_that_nobody_listens_at_costs_nothing(place: Door) -> None:
    agent = await agent_of(place, "away alone")
    answer = await agent.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "model_unavailable")
    usage = await agent.usage()
    assert (usage.calls, usage.cost_usd) == (1, 0)


async def test_a_token_pays_for_its_own_task_alone(place: Door, server: ModelServer) -> None:
    agent, other = [await agent_of(place, "renamed") for _ in range(2)]
    assert (await Agent(place, other.token, agent.task_id).ask()).status_code == 200
    assert ((await agent.usage()).calls, (await other.usage()).calls) == (0, 1)
    asked = len(server.asked)
    for token in ("-", other.token[:-1], other.token.upper()):
        assert (await Agent(place, token, "").ask()).status_code == 401
    assert len(server.asked) == asked


@pytest.mark.parametrize("fault", BROKEN)
async def test_an_answer_that_breaks_off_is_not_asked_for_again_and_is_paid_in_full(
    place: Door, server: ModelServer, fault: str
) -> None:
    agent = await agent_of(place, model := f"{fault}, then fine")
    answer = await agent.ask()
    assert '"model_unavailable"' in answer.text
    assert "[DONE]" not in answer.text
    assert (server.met[fault, model], server.met["fine", model]) == (1, 0)
    usage = await agent.usage()
    assert (usage.calls, usage.output_tokens) == (1, 50)


async def test_an_answer_that_nobody_counted_is_paid_in_full(place: Door) -> None:
    agent = await agent_of(place, "uncounted alone")
    assert (await agent.ask()).text.endswith("data: [DONE]\n\n")
    usage = await agent.usage()
    assert (usage.calls, usage.output_tokens) == (1, 50)


@pytest.mark.parametrize("fault", ["hang", "stall"])
async def test_whoever_hangs_up_pays_in_full(place: Door, fault: str) -> None:
    agent = await agent_of(place, f"{fault}, left")
    with pytest.raises(httpx2.HTTPError):
        await agent.ask(timeout=0.2)
    async with asyncio.timeout(20):
        while not await _nothing_reserved(agent):  # noqa: ASYNC110 - a settling tells nobody
            await asyncio.sleep(0.05)
    usage = await agent.usage()
    assert usage.calls >= 1
    assert usage.output_tokens == 50 * usage.calls


async def _nothing_reserved(agent: Agent) -> bool:
    """Say whether what is shown is what was settled: the task's row knows no reservations."""
    task = await agent.door.platform.tasks.get(agent.task_id, tenant_id="tnt_doors")
    return task.usage == await agent.usage() and task.usage.output_tokens > 0


async def test_calls_wait_for_a_place_at_the_upstream(place: Door, server: ModelServer) -> None:
    agent = await agent_of(place, "slow alone")
    answers = await asyncio.gather(*(agent.ask() for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert server.most_at_once == 2


async def test_a_model_is_asked_for_by_its_name_there_and_no_longer_than_it_can(
    place: Door, server: ModelServer
) -> None:
    agent = await agent_of(place, "renamed")
    for body in (STREAM, CHAT):
        await agent.ask(body)
        assert (server.asked[-1]["model"], server.asked[-1]["max_tokens"]) == ("vendor/m-2", 30)


async def test_each_upstream_gets_its_own_key_and_nobody_else_any(
    place: Door, server: ModelServer
) -> None:
    agent, before = await agent_of(place, "dear, then free"), len(server.keys)
    said = {"messages": [{"role": "user", "content": "sk-of-mute-upstream"}]}
    answer = await agent.ask(CHAT | said)
    assert server.keys[before:] == ["Bearer sk-of-500-upstream", "Bearer sk-of-fine-upstream"]
    assert "sk-" not in answer.text + str(answer.headers)
    assert b"[redacted]" in await agent.text("prompt"), "all keys are known to it"
    usage = await agent.usage()
    assert (usage.calls, usage.input_tokens, usage.cost_usd) == (1, 11, 0), "paid as who answered"


@pytest.mark.parametrize(
    ("model", "limits", "status"),
    [
        ("unknown, then priced", MUCH, 200),
        ("wild", MUCH, 401),
        ("wild", MUCH.model_copy(update={"cost_usd": None}), 200),
        ("gone", MUCH, 400),
    ],
)
async def test_under_a_limit_of_money_only_known_prices_are_asked(
    place: Door, server: ModelServer, model: str, limits: Limits, status: int
) -> None:
    answer = await (await agent_of(place, model, limits)).ask(SHORT)
    assert answer.status_code == status
    assert server.met["500", model] == 0
    if status != 200:
        assert answer.json()["error"]["code"] == "model_refused"


async def test_a_body_that_is_too_large_is_refused(place: Door, server: ModelServer) -> None:
    agent, before = await agent_of(place, "renamed"), len(server.asked)
    answer = await agent.ask({"messages": [{"role": "user", "content": "x" * (17 << 20)}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
    assert ((await agent.usage()).calls, len(server.asked)) == (0, before)
