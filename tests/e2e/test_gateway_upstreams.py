"""Model calls over several upstreams: who is asked how often, what it costs, and what the agent is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.api_service import free_port
from tests.support.doors import CHAT, Door, agents_sandbox, open_door
from tests.support.model_server import ModelServer
from tests.support.models_file import FREE, models_file

from codexsys_core.limits import Limits

PRICED = {"input_usd": 1000, "output_usd": 2000}
"""In dollars: a thousandth for an input token, two for an output token."""
ANSWER_USD = (11 * 1000 + 5 * 2000) / 1e6
MUCH = Limits(calls=50, tokens=10_000_000, cost_usd=5000)
SHORT = CHAT | {"max_tokens": 50}
STREAM = SHORT | {"stream": True}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


def upstream(server: ModelServer, fault: str, **more: Any) -> dict[str, Any]:
    return {
        "name": fault,
        "url": server.url(fault),
        "first_byte_seconds": 0.5,
        "idle_seconds": 0.5,
        "models": {"m": PRICED},
    } | more


@asynccontextmanager
async def door_to(
    folder: Path, *upstreams: dict[str, Any], limits: Limits = MUCH
) -> AsyncIterator[Door]:
    async with open_door(
        folder / "data", limits, models_file=models_file(folder, list(upstreams))
    ) as door:
        yield door


async def asked(door: Door, body: dict[str, Any] = STREAM) -> httpx2.Response:
    return await door.client.post("/v1/chat/completions", json=body)


@pytest.mark.parametrize(
    ("fault", "tries", "paid"),
    [
        ("401", 1, 0),
        ("404", 1, 0),
        ("429once", 1, 0),
        ("500twice", 1, 0),
        ("mute", 1, 1),
        ("hang", 1, 1),
    ],
)
@pytest.mark.parametrize("body", [STREAM, SHORT], ids=["stream", "whole"])
async def test_the_next_upstream_answers_where_the_first_fails(
    tmp_path: Path, server: ModelServer, fault: str, tries: int, paid: int, body: dict[str, Any]
) -> None:
    async with door_to(tmp_path, upstream(server, fault), upstream(server, "fine")) as door:
        answer = await asked(door, body)
        assert answer.status_code == 200, answer.text
        assert (server.calls[fault], server.calls["fine"]) == (tries, 1)
        usage = await door.usage()
        assert usage.calls == 1 + paid
        assert (usage.cost_usd > 0.05 + ANSWER_USD) == bool(paid), "what may be paid for counts"
        assert await door.replies() == 1


async def test_an_upstream_that_nobody_listens_at_is_passed_by(
    tmp_path: Path, server: ModelServer
) -> None:
    away = upstream(server, "away", url=f"http://127.0.0.1:{free_port()}/v1")
    async with door_to(tmp_path, away, upstream(server, "fine")) as door:
        assert (await asked(door)).status_code == 200
        usage = await door.usage()
    assert (usage.calls, usage.cost_usd) == (1, ANSWER_USD)


@pytest.mark.parametrize(
    ("fault", "status", "code", "tries", "paid"),
    [
        ("401", 401, "model_auth", 1, 0),
        ("404", 400, "model_refused", 1, 0),
        ("context", 400, "context_length_exceeded", 1, 0),
        ("429", 429, "model_busy", 4, 0),
        ("500", 502, "model_unavailable", 4, 0),
        ("hang", 502, "model_unavailable", 2, 2),
        ("mute", 502, "model_unavailable", 2, 2),
        ("nonsense", 502, "model_unavailable", 2, 2),
    ],
)
async def test_an_upstream_alone_is_tried_as_often_as_the_table_says(
    tmp_path: Path,
    server: ModelServer,
    fault: str,
    status: int,
    code: str,
    tries: int,
    paid: int,
) -> None:
    async with door_to(tmp_path, upstream(server, fault)) as door:
        answer = await asked(door)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert server.calls[fault] == tries
        usage = await door.usage()
    assert usage.calls == max(1, paid)
    assert bool(usage.cost_usd) == bool(paid)
    assert usage.output_tokens == 50 * paid


@pytest.mark.parametrize("fault", ["cut", "short", "stall"])
async def test_an_answer_that_breaks_off_is_not_asked_for_again_and_is_paid_in_full(
    tmp_path: Path, server: ModelServer, fault: str
) -> None:
    async with door_to(tmp_path, upstream(server, fault), upstream(server, "fine")) as door:
        answer = await asked(door)
        assert '"model_unavailable"' in answer.text
        assert "[DONE]" not in answer.text
        assert (server.calls[fault], server.calls["fine"]) == (1, 0)
        usage = await door.usage()
    assert (usage.calls, usage.output_tokens) == (1, 50)


async def test_an_answer_that_nobody_counted_is_paid_in_full(
    tmp_path: Path, server: ModelServer
) -> None:
    async with door_to(tmp_path, upstream(server, "uncounted")) as door:
        assert (await asked(door)).text.endswith("data: [DONE]\n\n")
        usage = await door.usage()
    assert (usage.calls, usage.output_tokens) == (1, 50)


@pytest.mark.parametrize("heard", [False, True], ids=["before a word", "in the midst"])
async def test_whoever_hangs_up_pays_in_full(
    tmp_path: Path, server: ModelServer, heard: bool
) -> None:
    fault = "stall" if heard else "hang"
    slow = upstream(server, fault, first_byte_seconds=0.8, idle_seconds=0.8)
    async with door_to(tmp_path, slow, limits=MUCH) as door:
        with pytest.raises((httpx2.ReadTimeout, httpx2.HTTPError)):
            await door.client.post("/v1/chat/completions", json=STREAM, timeout=0.3)
        async with asyncio.timeout(20):
            while not await _nothing_reserved(door):  # noqa: ASYNC110 - a settling tells nobody
                await asyncio.sleep(0.05)
        usage = await door.usage()
    assert usage.output_tokens == 50 * usage.calls
    assert usage.calls >= 1


async def _nothing_reserved(door: Door) -> bool:
    """Say whether what is shown is what was settled: the task's row knows no reservations."""
    task = await door.platform.tasks.get(door.task_id, tenant_id="tnt_doors")
    return task.usage == await door.usage() and task.usage.output_tokens > 0


async def test_calls_wait_for_a_place_at_the_upstream(tmp_path: Path, server: ModelServer) -> None:
    narrow = upstream(server, "slow", parallel=2, first_byte_seconds=10)
    async with door_to(tmp_path, narrow) as door:
        answers = await asyncio.gather(*(asked(door) for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert server.most_at_once == 2


async def test_a_model_is_asked_for_by_its_name_there_and_no_longer_than_it_can(
    tmp_path: Path, server: ModelServer
) -> None:
    served = {"m": FREE | {"served_as": "vendor/m-2", "output_tokens": 30}}
    async with door_to(tmp_path, upstream(server, "fine", models=served)) as door:
        await asked(door)
        await asked(door, CHAT)
    assert [(each["model"], each["max_tokens"]) for each in server.asked] == [
        ("vendor/m-2", 30)
    ] * 2


async def test_each_upstream_gets_its_own_key_and_nobody_else_any(
    tmp_path: Path, server: ModelServer
) -> None:
    (tmp_path / "one").write_text("sk-first-upstream\n")
    (tmp_path / "two").write_text("sk-second-upstream\n")
    first = upstream(server, "500twice", key_file="one")
    second = upstream(server, "fine", key_file="two")
    async with door_to(tmp_path, first, second) as door:
        answer = await asked(
            door, CHAT | {"messages": [{"role": "user", "content": "sk-first-upstream"}]}
        )
        assert server.keys == ["Bearer sk-first-upstream", "Bearer sk-second-upstream"]
        assert "sk-" not in answer.text + str(answer.headers)
        prompt = await door.platform.logs.read(door.task_id, "prompt", 0)
    assert b"[redacted]" in b"".join(chunk.text for chunk in prompt), "all keys are known to it"


async def test_under_a_limit_of_money_only_known_prices_are_asked(
    tmp_path: Path, server: ModelServer
) -> None:
    unknown = upstream(server, "500twice", models={"m": {}, "wild": {}})
    async with door_to(tmp_path, unknown, upstream(server, "fine")) as door:
        assert (await asked(door)).status_code == 200
        assert server.calls["500twice"] == 0
        platform = door.platform
        for limits, model, status in (
            (MUCH, "wild", 401),
            (MUCH.model_copy(update={"cost_usd": None}), "wild", 200),
            (MUCH, "gone", 400),
        ):
            await agents_sandbox(platform, limits, model=model, token=f"{model}{status}")
            answer = await door.client.post(
                "/v1/chat/completions",
                json=SHORT,
                headers={"Authorization": f"Bearer {model}{status}"},
            )
            assert answer.status_code == status
            if status != 200:
                assert answer.json()["error"]["code"] == "model_refused"


async def test_a_call_is_reserved_at_the_dearest_and_paid_at_the_price_of_who_answers(
    tmp_path: Path, server: ModelServer
) -> None:
    cheap = upstream(server, "fine", models={"m": FREE})
    async with door_to(tmp_path, upstream(server, "500twice"), cheap) as door:
        assert (await asked(door)).status_code == 200
        usage = await door.usage()
    assert (usage.calls, usage.input_tokens, usage.cost_usd) == (1, 11, 0)


async def test_a_body_that_is_too_large_is_refused(tmp_path: Path, server: ModelServer) -> None:
    async with door_to(tmp_path, upstream(server, "fine")) as door:
        long = {"messages": [{"role": "user", "content": "x" * (17 << 20)}]}
        answer = await door.client.post("/v1/chat/completions", json=long)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")
        assert (await door.usage()).calls == 0
    assert server.calls["fine"] == 0
