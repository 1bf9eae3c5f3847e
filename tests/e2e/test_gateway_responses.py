"""OpenAI's Responses at the gateway, over upstreams that have only chat, or Messages: streamed and whole, and what is refused."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.doors import Door, agents_sandbox, open_door
from tests.support.model_server import ModelServer, Step
from tests.support.models_file import FREE, models_file

from codexsys_core.limits import Limits
from codexsys_core.model import whole as whole_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "bash", "parameters": {"type": "object"}},
    {"type": "custom", "name": "apply_patch", "format": {"definition": "start: patch"}},
    {
        "type": "namespace",
        "name": "mcp",
        "tools": [{"type": "function", "name": "ask", "parameters": {"type": "object"}}],
    },
]
CHAT_TOOL = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}
ASK: dict[str, Any] = {"model": "any", "input": "hello", "tools": TOOLS, "store": False}
SCRIPTS: dict[str, list[Step]] = {
    "words": ["hello there"],
    "function": [{"tool": "bash", "arguments": {"command": "ls"}}],
    "custom": [{"tool": "apply_patch", "arguments": {"input": "*** Begin Patch"}}],
    "namespace": [{"tool": "mcp__ask", "arguments": {"q": "?"}}],
    "down": [500],
}
IN_MESSAGES = "-in-messages"
"""Ends the names of those that an upstream of Anthropic's kind serves."""
each_upstream = pytest.mark.parametrize("speaks", ["", IN_MESSAGES], ids=["chat", "messages"])


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        running.scripts = dict(SCRIPTS)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(
    tmp_path_factory: pytest.TempPathFactory, server: ModelServer
) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("responses")
    scripts = {"name": "scripts", "url": server.url("script"), "models": list(SCRIPTS)}
    other = {name + IN_MESSAGES: FREE | {"served_as": name} for name in SCRIPTS}
    messages = {
        "name": "messages",
        "url": server.url("script"),
        "speaks": "messages",
        "models": other,
    }
    broken = {"name": "broken", "url": server.url("cut"), "models": ["cut"]}
    file = models_file(folder, [scripts, messages, broken])
    async with open_door(folder / "data", Limits(), model="words", models_file=file) as opened:
        for model in (*SCRIPTS, *other, "cut"):
            await agents_sandbox(opened.platform, Limits(calls=4), model=model, token=model)
        yield opened


async def asked(door: Door, model: str, **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {model}"}
    return await door.client.post("/v1/responses", json=ASK | more, headers=headers)


def events(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    return found


@each_upstream
@pytest.mark.parametrize(
    ("model", "item"),
    [
        ("words", {"type": "message", "role": "assistant"}),
        ("function", {"type": "function_call", "name": "bash", "arguments": '{"command": "ls"}'}),
        ("custom", {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin Patch"}),
        ("namespace", {"type": "function_call", "name": "ask", "namespace": "mcp"}),
    ],
)
async def test_a_stream_ends_with_what_is_answered_whole(
    door: Door, model: str, item: dict[str, Any], speaks: str
) -> None:
    whole = (await asked(door, model + speaks)).json()
    told = events((await asked(door, model + speaks, stream=True)).text)
    assert [told[0]["type"], told[-1]["type"]] == ["response.created", "response.completed"]
    assert told[-1]["response"]["output"] == whole["output"]
    found = whole["output"][-1]
    assert item.items() <= found.items()
    assert len(whole["output"]) == 1 + (model != "words" and bool(speaks)), "Messages says it first"
    done = [event["item"] for event in told if event["type"] == "response.output_item.done"]
    assert done == whole["output"]
    assert (whole["status"], whole["usage"]["output_tokens"]) == ("completed", 20)


@each_upstream
async def test_chat_says_the_same_streamed_and_whole(door: Door, speaks: str) -> None:
    _, sandbox = await agents_sandbox(
        door.platform, Limits(), model="function" + speaks, token=f"c{speaks}"
    )
    body = {"messages": [{"role": "user", "content": "hello"}], "tools": [CHAT_TOOL]}
    headers = {"Authorization": f"Bearer c{speaks}"}
    whole, streamed = [
        await door.client.post("/v1/chat/completions", json=body | more, headers=headers)
        for more in ({}, {"stream": True})
    ]
    lines = [line[6:] for line in streamed.text.splitlines() if line.startswith("data: {")]
    added = whole_of([json.loads(line) for line in lines])
    assert added["choices"] == whole.json()["choices"]
    (choice,) = added["choices"]
    (call,) = choice["message"]["tool_calls"]
    assert (call["id"], call["type"], choice["finish_reason"]) == (
        "call_1",
        "function",
        "tool_calls",
    )
    assert call["function"] == {"name": "bash", "arguments": '{"command": "ls"}'}
    await door.gateway.quiet()
    usage = await door.platform.wallet.usage(sandbox.task_id)
    assert (usage.calls, usage.output_tokens) == (2, 2 * added["usage"]["completion_tokens"])
    assert usage.input_tokens > 0


async def test_words_come_as_they_are_said(door: Door) -> None:
    told = events((await asked(door, "words", stream=True)).text)
    deltas = [event["delta"] for event in told if event["type"] == "response.output_text.delta"]
    assert "".join(deltas) == "hello there"
    assert (await asked(door, "words")).status_code == 200
    refused = await asked(door, "words")
    assert (refused.status_code, refused.json()["error"]["code"]) == (401, "calls_exhausted")


async def test_a_conversation_reaches_a_chat_upstream_whole(
    door: Door, server: ModelServer
) -> None:
    call = {"call_id": "c1", "name": "bash", "arguments": "{}"}
    patch = {"call_id": "c2", "name": "apply_patch", "input": "p"}
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    items = [
        {"role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
        {"type": "message", "role": "user", "content": [image]},
        {"type": "reasoning", "encrypted_content": "sealed"},
        {"type": "function_call", **call},
        {"type": "custom_tool_call", **patch},
        {"type": "function_call_output", "call_id": "c1", "output": "out"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
    ]
    more = {"instructions": "Be brief.", "max_output_tokens": 30, "reasoning": {"effort": "low"}}
    await asked(door, "function", input=items, **more)
    sent = server.asked[-1]
    roles = [message["role"] for message in sent["messages"]]
    assert roles == ["system", "system", "user", "assistant", "tool", "tool"]
    assert [each["function"]["arguments"] for each in sent["messages"][3]["tool_calls"]] == [
        "{}",
        '{"input": "p"}',
    ]
    assert [tool["function"]["name"] for tool in sent["tools"]] == [
        "bash",
        "apply_patch",
        "mcp__ask",
    ]
    assert (sent["max_tokens"], sent["reasoning_effort"]) == (30, "low")
    assert "sealed" not in json.dumps(sent)


async def test_a_stream_that_breaks_off_says_so(door: Door) -> None:
    told = events((await asked(door, "cut", stream=True)).text)
    assert told[-1]["type"] == "response.failed"
    assert told[-1]["response"]["error"]["code"] == "model_unavailable"
    assert (await asked(door, "cut")).json()["error"]["code"] == "model_unavailable"


@pytest.mark.parametrize(
    "body",
    [
        {"store": True},
        {"background": True},
        {"previous_response_id": "resp_1"},
        {"conversation": "conv_1"},
        {"prompt": {"id": "pmpt_1"}},
        {"tools": [{"type": "web_search"}]},
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]},
        {"tools": [{"type": "mcp", "server_url": "https://example.org"}]},
        {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]},
        {"tools": [{"type": "computer_use_preview"}]},
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]},
        {"tools": [{"type": "function", "name": "a b"}]},
        {"tools": [{"type": "function", "name": "f", "parameters": {"$ref": "http://a/b"}}]},
        {"text": {"format": {"type": "json_schema", "name": "a", "schema": {"$ref": "//a"}}}},
        {"tool_choice": {"type": "function", "name": "other"}},
        {"tool_choice": {"type": "mcp", "name": ["a"]}},
        {"input": []},
        {"input": 7},
        {"input": [{"role": "tool", "content": "x"}]},
        {"input": [{"role": [], "content": "x"}]},
        {"input": [{"type": "item_reference", "id": "msg_1"}]},
        {"input": [{"type": "web_search_call", "id": "w"}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "http://a"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        {
            "input": [
                {
                    "role": "user",
                    "content": [{"type": "input_image", "image_url": "http://169.254.169.254/"}],
                }
            ]
        },
        {
            "input": [
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [{"type": "input_image", "image_url": "https://example.org/a.png"}],
                }
            ]
        },
        {"instructions": ["x"]},
        {"max_tool_calls": 3},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
async def test_what_would_leave_the_sandbox_is_refused(
    door: Door, server: ModelServer, body: dict[str, Any]
) -> None:
    before = len(server.asked)
    answer = await asked(door, "down", **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_allowed"), answer.text
    assert len(server.asked) == before
