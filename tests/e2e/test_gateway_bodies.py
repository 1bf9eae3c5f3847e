"""Bodies that are made to hold a gateway up: refused before they cost anything, while others are served."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.doors import CHAT, Door, agents_sandbox, open_door

from codexsys_core.limits import Limits

pytestmark = pytest.mark.asyncio(loop_scope="module")
MIB = 1 << 20
MESSAGE = b'{"role":"user","content":"x"}'
CROWDED = {
    "numbers": b'{"messages":[' + b"7," * (8 * MIB - 100) + b"7]}",
    "empty lists": b'{"messages":[' + b"[]," * (5 * MIB) + b"[]]}",
    "objects in a schema": b'{"messages":[%s],"tools":[%s{}]}' % (MESSAGE, b'{"a":{}},' * MIB),
    "names": b'{"messages":[%s],"x":{%s"y":1}}' % (MESSAGE, b'"":1,' * (3 * MIB)),
    "quotes that nothing ends": b'{"messages":["' + b'\\"' * (7 * MIB),
    "quotes": b'"' * (16 * MIB - 1),
}
NESTED = {
    "lists": b"[" * (16 * MIB - 1),
    "a few lists": b'{"messages":' + b"[" * 5000,
    "a schema": b'{"messages":[%s],"tools":[{"type":"function","function":{"name":"f","parameters":%s}}]}'
    % (MESSAGE, b'{"a":' * 950 + b"1" + b"}" * 950),
}
NUMBERS = {
    "digits": b'{"messages":[%s],"seed":%s}' % (MESSAGE, b"9" * MIB),
    **{
        f"{number} in a schema": b'{"messages":[%s],"tools":[{"type":"function","name":"f","function":{"name":"f","parameters":{"a":%s}}}]}'
        % (MESSAGE, number.encode())
        for number in ("NaN", "-Infinity", "1e999")
    },
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def door(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    async with open_door(tmp_path_factory.mktemp("bodies"), Limits()) as opened:
        yield opened


async def another(door: Door) -> dict[str, str]:
    """Return the headers of a sandbox of another task."""
    token = door.platform.ids.new("tok")
    await agents_sandbox(door.platform, Limits(), token=token)
    return {"Authorization": f"Bearer {token}"}


@pytest.mark.parametrize("kind", CROWDED)
async def test_a_body_of_too_many_values_is_not_parsed_and_others_are_served(
    door: Door, kind: str
) -> None:
    headers = await another(door)
    refused, *answers = await asyncio.gather(
        door.client.post("/v1/chat/completions", content=CROWDED[kind]),
        *(door.client.post("/v1/chat/completions", json=CHAT, headers=headers) for _ in range(3)),
    )
    assert refused.status_code in (400, 413), "what is no JSON may be called so"
    assert refused.json()["error"]["code"] in ("not_allowed", "too_large")
    assert [answer.status_code for answer in answers] == [200] * 3
    assert (await door.usage()).calls == 0


@pytest.mark.parametrize("kind", NESTED | NUMBERS)
async def test_a_body_that_is_nested_or_counts_without_end_is_refused(
    door: Door, kind: str
) -> None:
    body = (NESTED | NUMBERS)[kind]
    for path in ("/v1/chat/completions", "/v1/responses"):
        refused = await door.client.post(path, content=body)
        assert refused.status_code in (400, 413), refused.text[:200]
    assert (await door.usage()).calls == 0


async def test_a_long_text_is_one_value(door: Door) -> None:
    code = 'f(a, [1, 2], {"b": "\\"c\\""})\n' * 60_000
    body = {"messages": [{"role": "user", "content": code}]}
    assert len(json.dumps(body)) > 2 * MIB
    answer = await door.client.post("/v1/chat/completions", json=body, headers=await another(door))
    assert answer.status_code == 200, answer.text[:200]


async def test_half_a_character_is_passed_on_and_kept(door: Door) -> None:
    headers = await another(door)
    for body in (
        b'{"messages":[{"role":"user","content":"\\ud83d"}]}',
        b'{"messages":[{"role":"user","content":"\\ud83d"}],"stream":true}',
    ):
        answer = await door.client.post("/v1/chat/completions", content=body, headers=headers)
        assert answer.status_code == 200
    odd = await door.client.post("/v1/chat/completions", content=b'{"messages":[1],"\\ud83d":1}')
    assert (odd.status_code, odd.json()["error"]["code"]) == (400, "not_allowed")
    line = b'{"number":1,"stream":"agent","text":"\\ud83d\\n"}'
    assert (await door.client.post("/v1/logs", content=line)).status_code == 202


async def test_many_calls_of_one_task_wait_for_each_other_and_not_others_for_them(
    door: Door,
) -> None:
    many, one = await another(door), await another(door)
    path = "/v1/chat/completions"
    calls = [
        asyncio.create_task(door.client.post(path, json=CHAT, headers=many)) for _ in range(40)
    ]
    other = await door.client.post(path, json=CHAT, headers=one)
    assert other.status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
