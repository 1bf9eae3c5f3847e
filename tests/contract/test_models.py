"""What every adapter of the port `Models` does, and how those of real endpoints meet faults."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from tests.support.api_service import free_port
from tests.support.model_server import ModelServer

from codexsys_adapters.demo_model import ScriptedModels
from codexsys_adapters.models import VERSION, ChatModels, Endpoint, MessagesModels
from codexsys_adapters.models.driver import OpenAIEndpoint
from codexsys_adapters.models.messages import as_messages
from codexsys_adapters.outbound import Outbound
from codexsys_core.model import ModelError, Models, whole

REQUEST: dict[str, Any] = {
    "model": "small",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 50,
}
Upstream = type[ChatModels] | type[MessagesModels]
UPSTREAMS: list[Upstream] = [ChatModels, MessagesModels]
each_upstream = pytest.mark.parametrize("kind", UPSTREAMS)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@asynccontextmanager
async def upstream(
    url: str, kind: Upstream = ChatModels, *, first: float = 10, idle: float = 10
) -> AsyncIterator[Models]:
    way = Outbound(allow_http=True, trusted_hosts=["127.0.0.1"])
    async with way.async_client() as client:
        if kind is ChatModels:
            yield ChatModels(OpenAIEndpoint(url, {}, client, first, idle, key="k"))
        else:
            headers = {"x-api-key": "k", "anthropic-version": VERSION}
            yield MessagesModels(Endpoint(url, headers, client, first, idle))


@pytest.fixture(params=[None, *UPSTREAMS])
async def models(request: pytest.FixtureRequest, server: ModelServer) -> AsyncIterator[Models]:
    if request.param is None:
        yield ScriptedModels()
        return
    async with upstream(server.url(), request.param) as opened:
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


async def test_the_next_call_goes_over_the_same_connection() -> None:
    connections, closed = 0, asyncio.Event()
    events = [{"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}]}]
    data = b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in events)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                await reader.readexactly(int(length))
                kind = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                writer.write(kind + b"transfer-encoding: chunked\r\n\r\n")
                for piece in (data, b"data: [DONE]\n\n", b""):
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with upstream(f"http://127.0.0.1:{port}/v1") as models:
            for _ in range(3):
                assert len(await heard(models)) == 1
        await asyncio.wait_for(closed.wait(), 10)
    assert connections == 1


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


@each_upstream
@pytest.mark.parametrize(("fault", "code", "spent"), FAULTS)
async def test_a_fault_is_told_with_whether_it_may_have_been_paid_for(
    server: ModelServer, kind: Upstream, fault: str, code: str, spent: bool
) -> None:
    async with upstream(server.url(fault), kind, first=0.3, idle=0.3) as models:
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
            OpenAIEndpoint(server.url(), {}, client, 10, 10), length_field="max_completion_tokens"
        )
        _ = [chunk async for chunk in models.stream(REQUEST | {"max_tokens": 7})]
    asked = server.asked[-1]
    assert (asked.get("max_completion_tokens"), asked.get("max_tokens")) == (7, None)


async def test_messages_say_what_was_read_before_and_count_what_is_kept(
    server: ModelServer,
) -> None:
    async with upstream(server.url(), MessagesModels) as models:
        usage = whole(await heard(models))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (3 + 3 + 5, 5)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 3


async def test_messages_without_a_last_count_have_none(server: ModelServer) -> None:
    async with upstream(server.url("uncounted"), MessagesModels) as models:
        assert (await heard(models))[-1]["usage"] is None


def test_a_conversation_is_told_in_the_words_of_messages() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "bash", "arguments": '{"a": 1}'}}
    torn = {"id": "c2", "type": "function", "function": {"name": "bash", "arguments": "{"}}
    told = as_messages(
        {
            "model": "m",
            "max_tokens": 9,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "look"}, _IMAGE]},
                {"role": "assistant", "content": None, "tool_calls": [call, torn]},
                {"role": "tool", "tool_call_id": "c1", "content": "out"},
                {"role": "tool", "tool_call_id": "c2", "content": ""},
            ],
            "tools": [{"type": "function", "function": {"name": "bash", "parameters": {"a": {}}}}],
            "tool_choice": "required",
            "parallel_tool_calls": False,
            "temperature": 1.5,
            "stop": "x",
        }
    )
    kept = {"cache_control": {"type": "ephemeral"}}
    assert told["system"] == [{"type": "text", "text": "Be brief."} | kept]
    first, second, third = told["messages"]
    source = {"type": "base64", "media_type": "image/png", "data": "AAAA"}
    assert first["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image", "source": source},
    ]
    assert [each["input"] for each in second["content"]] == [{"a": 1}, {"malformed": "{"}]
    assert third["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "c1",
            "content": [{"type": "text", "text": "out"}],
        },
        {"type": "tool_result", "tool_use_id": "c2", "content": []} | kept,
    ]
    assert told["tools"] == [{"name": "bash", "input_schema": {"a": {}}}]
    assert told["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
    assert (told["temperature"], told["stop_sequences"], told["max_tokens"]) == (1, ["x"], 9)


_IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
