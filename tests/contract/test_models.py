"""What every adapter of the port `Models` does, and how those of real endpoints meet faults."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.api_service import free_port
from tests.support.model_server import ModelServer

from codexsys_adapters.demo_model import ScriptedModels
from codexsys_adapters.models import ChatModels, Endpoint
from codexsys_adapters.outbound import Outbound
from codexsys_core.model import ModelError, Models, whole

REQUEST: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@asynccontextmanager
async def upstream(url: str, *, first: float = 10, idle: float = 10) -> AsyncIterator[Models]:
    way = Outbound(allow_http=True, trusted_hosts=["127.0.0.1"])
    async with way.async_client() as client:
        headers = {"authorization": "Bearer k"}
        yield ChatModels(Endpoint(url, headers, client, first, idle))


@pytest.fixture(params=["scripted", "chat"])
async def models(request: pytest.FixtureRequest, server: ModelServer) -> AsyncIterator[Models]:
    if request.param == "scripted":
        yield ScriptedModels()
        return
    async with upstream(server.url()) as opened:
        yield opened


async def heard(models: Models) -> list[dict[str, Any]]:
    return [chunk async for chunk in models.stream(REQUEST)]


async def test_chunks_add_up_to_a_message_with_usage(models: Models) -> None:
    chunks = await heard(models)
    answer = whole(chunks)
    assert answer["choices"][0]["message"]["content"]
    assert answer["choices"][0]["finish_reason"]
    assert answer["usage"]["prompt_tokens"] > 0
    assert chunks[-1]["usage"] == answer["usage"]


async def test_an_answer_that_comes_whole_is_the_same(server: ModelServer) -> None:
    async with upstream(server.url("whole")) as models, upstream(server.url()) as streaming:
        assert whole(await heard(models)) == whole(await heard(streaming))


FAULTS = [
    ("401", "model_auth", False),
    ("404", "model_unknown", False),
    ("context", "context_length_exceeded", False),
    ("429once", "model_busy", False),
    ("500twice", "model_unavailable", False),
    ("hang", "model_unavailable", True),
    ("cut", "model_unavailable", True),
    ("stall", "model_unavailable", True),
    ("short", "model_unavailable", True),
    ("nonsense", "model_unavailable", True),
    ("error", "model_unavailable", True),
    ("mute", "model_unavailable", True),
]


@pytest.mark.parametrize(("fault", "code", "spent"), FAULTS)
async def test_a_fault_is_told_with_whether_it_may_have_been_paid_for(
    server: ModelServer, fault: str, code: str, spent: bool
) -> None:
    async with upstream(server.url(fault), first=0.3, idle=0.3) as models:
        with pytest.raises(ModelError) as refused:
            await heard(models)
    assert (refused.value.code, refused.value.spent) == (code, spent)
    assert server.calls[fault] == 1, "each call is one try"
    assert "Incorrect API key" not in refused.value.message


async def test_a_busy_endpoint_says_when_to_come_again(server: ModelServer) -> None:
    async with upstream(server.url("429once")) as models:
        with pytest.raises(ModelError) as refused:
            await heard(models)
    assert refused.value.retry_after == 1


async def test_nothing_listens() -> None:
    async with upstream(f"http://127.0.0.1:{free_port()}/v1") as models:
        with pytest.raises(ModelError) as refused:
            await heard(models)
    assert (refused.value.code, refused.value.spent) == ("model_unavailable", False)


async def test_what_came_before_a_cut_is_heard(server: ModelServer) -> None:
    came: list[object] = []

    async def listen(models: Models) -> None:
        async for chunk in models.stream(REQUEST):
            came.append(chunk)  # noqa: PERF401 - what came before the cut is looked at

    async with upstream(server.url("cut")) as models:
        with pytest.raises(ModelError):
            await listen(models)
    assert len(came) == 1


async def test_the_length_of_an_answer_is_asked_for_in_the_endpoints_own_word(
    server: ModelServer,
) -> None:
    way = Outbound(allow_http=True, trusted_hosts=["127.0.0.1"])
    async with way.async_client() as client:
        models = ChatModels(
            Endpoint(server.url(), {}, client, 10, 10), length_field="max_completion_tokens"
        )
        _ = [chunk async for chunk in models.stream(REQUEST | {"max_tokens": 7})]
    asked = server.asked[-1]
    assert (asked.get("max_completion_tokens"), asked.get("max_tokens")) == (7, None)
