"""Endpoints that answer as no model's endpoint should: what agents and the ledger get of it is plain and bounded."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from codexsys_adapters.models import VERSION, ChatModels, Endpoint, MessagesModels
from codexsys_adapters.models.driver import OpenAIEndpoint
from codexsys_adapters.outbound import Outbound
from codexsys_core.model import ModelError, Models, whole
from codexsys_gateway.responses import Response
from codexsys_gateway.transcript import Transcript

REQUEST: dict[str, Any] = {
    "model": "small",
    "messages": [{"role": "user", "content": "hello"}],
    "max_tokens": 50,
}
STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"
END: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
USAGE: dict[str, Any] = {"prompt_tokens": 3, "completion_tokens": 2}
LONG = "n" * 100_000
Event = dict[str, Any]
each_upstream = pytest.mark.parametrize("speaks", ["chat", "messages"])


class Hostile:
    """Answers each request with some bytes, then with `more` again and again for as long as anybody reads."""

    def __init__(self) -> None:
        self.says = b""
        self.more = b""
        self.asked: list[bytes] = []
        self.url = ""
        self.ending: set[asyncio.Event] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended = asyncio.Event()
        self.ending.add(ended)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
            self.asked.append(await reader.readexactly(int(length)))
            writer.write(self.says)
            await writer.drain()
            while self.more:
                writer.write(self.more)
                await writer.drain()
                await asyncio.sleep(0.01)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()


@pytest.fixture
async def hostile() -> AsyncIterator[Hostile]:
    server = Hostile()
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        yield server
        server.more = b""
        await asyncio.wait_for(asyncio.gather(*(each.wait() for each in server.ending)), 10)


@asynccontextmanager
async def models(url: str, speaks: str = "chat", *, answer: float = 10) -> AsyncIterator[Models]:
    way = Outbound(allow_http=True, trusted_hosts=["127.0.0.1"])
    async with way.async_client() as client:
        if speaks == "chat":
            yield ChatModels(OpenAIEndpoint(url, {}, client, 10, 10, answer, key="k"))
        else:
            headers = {"x-api-key": "k", "anthropic-version": VERSION}
            yield MessagesModels(Endpoint(url, headers, client, 10, 10, answer))


def events(*some: Event) -> bytes:
    return b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in some)


def said(**delta: Any) -> Event:
    return {"choices": [{"index": 0, "delta": delta}]}


def called(**call: Any) -> Event:
    return said(tool_calls=[call])


ODD: dict[str, list[Event]] = {
    "names of any length and kind": [
        {"id": LONG, "model": LONG, "created": [], "object": 7, **END},
        {"id": {}, "model": None, "created": float("nan"), **END},
    ],
    "more than was asked for": [{"choices": [END["choices"][0]] * 1000, "x": [[[]]] * 1000}],
    "choices of no kind": [{"choices": {"a": 1}}, {"choices": [7, None, []]}, {"choices": 7}, END],
    "deltas of no kind": [{"choices": [{"delta": 7}]}, {"choices": [{"delta": [1]}]}, END],
    "words of no kind": [said(content={"a": 1}), said(content=[1]), said(role=7, refusal=[]), END],
    "calls of no kind": [said(tool_calls={"a": 1}), said(tool_calls=[7, None]), END],
    "functions of no kind": [called(function="f"), called(function=[1], index=0), END],
    "names and arguments of no kind": [
        called(index=0, id=7, function={"name": 7, "arguments": [1]}),
        called(index=0, id="a", function={"name": "f", "arguments": {"a": 1}}),
        END,
    ],
    "places of no kind": [
        called(index={}, id="a", function={"name": "f", "arguments": "{}"}),
        called(index="x", id="b", function={"name": "f", "arguments": "{}"}),
        called(index=-1, id="c", function={"name": "f", "arguments": "{}"}),
        called(index=2**70, function={"name": "f", "arguments": "{}"}),
        called(id="d"),
        END,
    ],
    "reasons of no kind": [{"choices": [{"delta": {}, "finish_reason": {"a": 1}}]}, END],
    "numbers that are none": [{**END, "x": float("inf"), "usage": {"prompt_tokens": float("nan")}}],
}


@pytest.mark.parametrize("kind", ODD)
async def test_what_agents_hear_has_the_shape_that_they_expect(hostile: Hostile, kind: str) -> None:
    hostile.says = STREAM + events(*ODD[kind])
    async with models(hostile.url) as upstream:
        chunks = [chunk async for chunk in upstream.stream(REQUEST)]
    response, transcript = Response({}), Transcript("m")
    told = [*response.begun(chunks[0])]
    for chunk in chunks:
        transcript.add(chunk)
        told += response.heard(chunk)
    answer = whole(chunks)
    heard = [answer, chunks, [*told, *response.ended()], response.body()]
    assert len(json.dumps(heard, allow_nan=False)) < 50_000
    assert transcript.reply(1)
    for call in answer["choices"][0]["message"].get("tool_calls", ()):
        assert {type(call["id"]), *map(type, call["function"].values())} == {str}


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": -3, "completion_tokens": 2},
        {"prompt_tokens": 3, "completion_tokens": "2"},
        {"prompt_tokens": True, "completion_tokens": False},
        {"prompt_tokens": 3, "completion_tokens": 2.5},
        {"prompt_tokens": 10**30, "completion_tokens": 2},
        {"completion_tokens": 2},
        [3, 2],
    ],
    ids=str,
)
async def test_what_is_no_count_counts_as_none(hostile: Hostile, usage: Any) -> None:
    hostile.says = STREAM + events({**END, "usage": usage})
    assert (await heard(hostile)).usage is None


async def test_a_count_of_a_part_is_not_what_will_be_billed(hostile: Hostile) -> None:
    part = {**said(content="hel"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    hostile.says = STREAM + events(part)
    assert (await heard(hostile)).usage is None, "it broke off"
    hostile.says = STREAM + events(part, {**END, "usage": USAGE})
    usage = (await heard(hostile)).usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens) == (3, 2)


async def heard(hostile: Hostile, speaks: str = "chat") -> Transcript:
    transcript = Transcript("m")
    async with models(hostile.url, speaks) as upstream:
        with suppress(ModelError):
            async for chunk in upstream.stream(REQUEST):
                transcript.add(chunk)
    return transcript


@pytest.mark.parametrize("counted", [{}, {"output_tokens": -1}, {"output_tokens": "5"}, 7])
async def test_messages_that_count_wrongly_count_nothing(hostile: Hostile, counted: Any) -> None:
    hostile.says = STREAM + events(
        {"type": "message_start", "message": {"id": 7, "usage": {"input_tokens": 3}}},
        {"type": "content_block_start", "index": {}, "content_block": {"type": "text", "text": 7}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": 7}},
        {"type": "content_block_delta", "index": [], "delta": {"partial_json": {}}},
        {"type": "content_block_delta", "index": 1, "delta": {"partial_json": {"a": 1}}},
        {"type": "content_block_stop", "index": {}},
        {"type": "message_delta", "delta": {"stop_reason": []}, "usage": counted},
        {"type": "message_stop"},
    )
    transcript = await heard(hostile, "messages")
    assert transcript.heard
    assert transcript.usage is None
    assert transcript.reply(1)


@each_upstream
@pytest.mark.parametrize("status", [400, 401, 429, 500])
async def test_an_error_that_goes_on_for_ever_is_read_in_part(
    hostile: Hostile, speaks: str, status: int
) -> None:
    hostile.says = b"HTTP/1.1 %d Oh\r\ncontent-type: text/plain\r\n\r\n" % status
    hostile.more = b"x" * 65_536
    async with models(hostile.url, speaks) as upstream, asyncio.timeout(30):
        with pytest.raises(ModelError) as refused:
            _ = [chunk async for chunk in upstream.stream(REQUEST)]
    assert not refused.value.spent


@pytest.mark.parametrize(
    ("asked", "heard"),
    [("9" * 400, 86_400), ("1e9", None), ("-1", None), ("nan", None), ("1.5", 1.5), ("٣", None)],
)
async def test_an_endpoint_asks_for_no_more_than_a_day(
    hostile: Hostile, asked: str, heard: float | None
) -> None:
    head = f"HTTP/1.1 429 Oh\r\nretry-after: {asked}\r\ncontent-length: 0\r\n\r\n"
    hostile.says = head.encode()
    async with models(hostile.url) as upstream:
        with pytest.raises(ModelError) as refused:
            _ = [chunk async for chunk in upstream.stream(REQUEST)]
    assert refused.value.retry_after == heard


PINGS = {"chat": b": at work\n\n", "messages": b'data: {"type": "ping"}\n\n'}


@each_upstream
async def test_an_answer_that_goes_on_for_ever_and_says_nothing_ends(
    hostile: Hostile, speaks: str
) -> None:
    hostile.says, hostile.more = STREAM, PINGS[speaks]
    async with models(hostile.url, speaks, answer=0.5) as upstream, asyncio.timeout(30):
        with pytest.raises(ModelError) as refused:
            _ = [chunk async for chunk in upstream.stream(REQUEST)]
    assert (refused.value.code, refused.value.spent) == ("model_unavailable", True)


@each_upstream
@pytest.mark.parametrize("head", [STREAM, WHOLE], ids=["streamed", "whole"])
async def test_an_answer_without_an_end_is_read_in_part(
    hostile: Hostile, speaks: str, head: bytes
) -> None:
    hostile.says, hostile.more = head + b'data: {"a": "', b"x" * 1_000_000
    async with models(hostile.url, speaks) as upstream, asyncio.timeout(60):
        with pytest.raises(ModelError) as refused:
            _ = [chunk async for chunk in upstream.stream(REQUEST)]
    assert refused.value.spent


@each_upstream
async def test_half_a_character_is_sent_as_a_question_mark(hostile: Hostile, speaks: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1e999}'}}
    odd = [
        {"role": "user", "content": "half \ud83d é"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
    ]
    async with models(hostile.url, speaks) as upstream:
        with suppress(ModelError):
            _ = [chunk async for chunk in upstream.stream(REQUEST | {"messages": odd})]
    (sent,) = hostile.asked
    assert "half ? é" in json.dumps(json.loads(sent), ensure_ascii=False)


@each_upstream
async def test_nothing_is_sent_before_the_first_chunk_is_asked_for(
    hostile: Hostile, speaks: str
) -> None:
    async with models(hostile.url, speaks) as upstream:
        written = upstream.stream(REQUEST)
        with suppress(ModelError):
            _ = [chunk async for chunk in upstream.stream(REQUEST | {"max_tokens": 7})]
        assert [json.loads(each)["max_tokens"] for each in hostile.asked] == [7]
        with suppress(ModelError):
            await anext(written)
    assert [json.loads(each)["max_tokens"] for each in hostile.asked] == [7, 50]
