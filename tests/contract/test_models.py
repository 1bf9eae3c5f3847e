"""What every adapter of the port `Models` does, and how the upstream one bears faults."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.support.api_service import free_port
from tests.support.model_server import ModelServer

from codexsys_adapters.demo_model import ScriptedModels
from codexsys_adapters.models import UpstreamModels
from codexsys_adapters.outbound import Outbound
from codexsys_core.model import ModelError, Models

REQUEST: dict[str, Any] = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@asynccontextmanager
async def upstream(url: str, silence: float = 10) -> AsyncIterator[UpstreamModels]:
    way = Outbound(allow_http=True, trusted_hosts=["127.0.0.1"])
    async with way.async_client() as client:
        yield UpstreamModels(url=url, key="k", client=client, silence_seconds=silence)


@pytest.fixture(params=["scripted", "upstream"])
async def models(request: pytest.FixtureRequest, server: ModelServer) -> AsyncIterator[Models]:
    if request.param == "scripted":
        yield ScriptedModels()
        return
    async with upstream(server.url()) as opened:
        yield opened


async def test_complete_gives_a_message_and_usage(models: Models) -> None:
    answer = await models.complete(REQUEST)
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["prompt_tokens"] > 0


async def test_stream_says_the_same_as_complete(models: Models) -> None:
    whole = await models.complete(REQUEST)
    chunks = [chunk async for chunk in models.stream(REQUEST)]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    words = "".join(choice["delta"].get("content") or "" for choice in choices)
    assert words == whole["choices"][0]["message"]["content"]
    assert choices[-1]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert chunks[-1]["usage"] == whole["usage"]


@pytest.mark.parametrize(
    ("fault", "code", "calls"),
    [
        ("401", "model_auth", 1),
        ("404", "model_refused", 1),
        ("context", "context_length_exceeded", 1),
    ],
)
async def test_a_final_refusal_is_not_tried_again(
    server: ModelServer, fault: str, code: str, calls: int
) -> None:
    async with upstream(server.url(fault)) as models:
        with pytest.raises(ModelError) as refused:
            await models.complete(REQUEST)
    assert refused.value.code == code
    assert server.calls[fault] == calls


@pytest.mark.parametrize(("fault", "calls"), [("429once", 2), ("500twice", 3)])
async def test_a_short_failure_is_absorbed(server: ModelServer, fault: str, calls: int) -> None:
    async with upstream(server.url(fault)) as models:
        chunks = [chunk async for chunk in models.stream(REQUEST)]
    assert chunks[-1]["usage"]["completion_tokens"] == 5
    assert server.calls[fault] == calls


async def test_nothing_listens() -> None:
    async with upstream(f"http://127.0.0.1:{free_port()}/v1") as models:
        with pytest.raises(ModelError) as refused:
            await models.complete(REQUEST)
    assert refused.value.code == "model_unavailable"


async def test_silence_is_borne_for_its_time_only(server: ModelServer) -> None:
    async with upstream(server.url("hang"), silence=0.2) as models:
        with pytest.raises(ModelError) as refused:
            await models.complete(REQUEST)
    assert refused.value.code == "model_unavailable"


async def test_a_stream_that_is_cut_says_so_and_keeps_what_came(server: ModelServer) -> None:
    heard: list[object] = []

    async def listen(models: Models) -> None:
        async for chunk in models.stream(REQUEST):
            heard.append(chunk)  # noqa: PERF401 - what came before the cut is looked at

    async with upstream(server.url("cut")) as models:
        with pytest.raises(ModelError) as refused:
            await listen(models)
    assert refused.value.code == "model_unavailable"
    assert len(heard) == 1
    assert server.calls["cut"] == 1
