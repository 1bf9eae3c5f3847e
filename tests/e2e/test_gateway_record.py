"""The raw record of model calls: from it each call can be told again as the endpoint heard and answered it."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.doors import Door, agents_sandbox, open_door
from tests.support.model_server import ModelServer, Step
from tests.support.models_file import FREE, models_file

from codexsys_core.limits import Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOOL = {"type": "function", "function": {"name": "bash", "parameters": {"type": "object"}}}
SCRIPTS: dict[str, list[Step]] = {
    "talks": ["one", {"tool": "bash", "arguments": {"command": "ls"}}, "three", "four"],
    "fails": [400, {"fault": "cut"}, "three"],
}
KEY = "sk-of-the-upstream-0123456789"


@pytest.fixture(scope="module")
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        running.scripts = dict(SCRIPTS)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(
    tmp_path_factory: pytest.TempPathFactory, server: ModelServer
) -> AsyncIterator[Door]:
    folder = tmp_path_factory.mktemp("record")
    (folder / "key").write_text(KEY)
    models = dict.fromkeys(SCRIPTS, FREE | {"context_tokens": 10_000_000})
    upstream = {"name": "u", "url": server.url("script"), "key_file": "key", "models": models}
    file = models_file(folder, [upstream])
    async with open_door(folder / "data", Limits(), model="talks", models_file=file) as opened:
        yield opened


def said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


async def lines(door: Door, task_id: str) -> list[dict[str, Any]]:
    await door.gateway.quiet()
    chunks = await door.platform.logs.read(task_id, "calls", 0, limit_bytes=50_000_000)
    return [json.loads(line) for line in b"".join(chunk.text for chunk in chunks).splitlines()]


def told_again(record: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return each call's messages."""
    whole: dict[int, list[dict[str, Any]]] = {}
    for line in record:
        before = whole[line["as"]][: line["same"]] if "as" in line else []
        whole[line["number"]] = [*before, *line["messages"]]
    return list(whole.values())


async def test_each_call_can_be_told_again(door: Door, server: ModelServer) -> None:
    limits = Limits(tokens=100_000_000)
    _, sandbox = await agents_sandbox(door.platform, limits, model="talks", token="talks")
    first = [said("system", "Be brief."), said("user", f"The key is {KEY}. \ud83d \"é'\n")]
    grown = [*first, said("assistant", "one"), said("user", "and?")]
    masked = [*first, said("assistant", "[left out]"), said("user", "and?"), said("user", "well?")]
    long = [*masked, said("user", "x" * 2_000_000)]
    before = len(server.asked)
    for messages, more in (
        (first, {}),
        (grown, {"stream": True, "tools": [TOOL]}),
        (masked, {"tools": [TOOL], "temperature": 0.5}),
        (long, {}),
    ):
        answer = await door.client.post(
            "/v1/chat/completions",
            content=json.dumps({"messages": messages, **more}),
            headers={"Authorization": "Bearer talks"},
        )
        assert answer.status_code == 200, answer.text
    one, two, three, four = await lines(door, sandbox.task_id)
    heard = [json.dumps(body["messages"]) for body in server.asked[before:][:3]]
    assert KEY in heard[0], "what an agent says reaches its model; only what is kept has no key"
    again = [json.dumps(each).replace("\\ud83d", "?") for each in told_again([one, two, three])]
    assert again == [each.replace(KEY, "[redacted]") for each in heard]
    assert [each["outcome"] for each in (one, two, three, four)] == ["answered"] * 4
    assert [len(each["messages"]) for each in (one, two, three)] == [2, 2, 3], "each message once"
    assert one["answer"] == {"content": "one", "reasoning": "", "calls": [], "ended": "stop"}
    assert two["answer"]["calls"] == [{"name": "bash", "arguments": '{"command": "ls"}'}]
    assert (two["options"], three["options"]) == (
        {"tools": [TOOL]},
        {"tools": [TOOL], "temperature": 0.5},
    )
    assert three["usage"]["output_tokens"] == 20
    assert four["left_out_bytes"] > 1_900_000
    assert "messages" not in four


async def test_what_was_not_answered_says_so_and_keeps_no_more_than_that(door: Door) -> None:
    _, sandbox = await agents_sandbox(door.platform, Limits(), model="fails", token="fails")
    for _ in range(3):
        await door.client.post(
            "/v1/chat/completions",
            json={"messages": [said("user", "hello")], "stream": True},
            headers={"Authorization": "Bearer fails"},
        )
    refused, cut, answered = await lines(door, sandbox.task_id)
    assert refused == {"v": 1, "number": 1, "model": "fails", "outcome": "context_length_exceeded"}
    assert (cut["outcome"], cut["answer"]["content"], cut["usage"]) == (
        "model_unavailable",
        "hel",
        None,
    )
    assert (answered["as"], answered["same"], answered["messages"]) == (2, 1, [])
