"""The gateway over real HTTP: who may ask, for what, and what is kept of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.doors import CHAT, Door, open_door, row_of

from codexsys_core.errors import Conflict
from codexsys_core.limits import Limits
from codexsys_core.message import Message
from codexsys_core.sandbox import SandboxRole
from codexsys_core.source import Base


@pytest_asyncio.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async with open_door(tmp_path, Limits(calls=2), model_key="the-models-key") as opened:
        yield opened


async def test_another_token_and_an_ended_sandbox_are_refused(door: Door) -> None:
    other = await door.client.post(
        "/v1/chat/completions", json=CHAT, headers={"Authorization": "Bearer other"}
    )
    await door.platform.sandboxes.end(door.hold, door.sandbox_id, "closed")
    ended = await door.client.get("/v1/control?wait=0")
    assert [answer.status_code for answer in (other, ended)] == [401, 401]
    assert ended.json()["error"]["code"] == "token_revoked"


async def test_what_is_not_on_the_list_is_not_passed_on(door: Door) -> None:
    answer = await door.client.post("/v1/chat/completions", json=CHAT | {"web_search": {}})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "not_allowed"


async def test_calls_are_counted_recorded_and_end(door: Door) -> None:
    whole = await door.client.post("/v1/chat/completions", json=CHAT)
    stream = await door.client.post("/v1/chat/completions", json=CHAT | {"stream": True})
    third = await door.client.post("/v1/chat/completions", json=CHAT)
    assert whole.json()["usage"]["prompt_tokens"] > 0
    assert stream.text.endswith("data: [DONE]\n\n")
    assert third.status_code == 401
    assert third.json()["error"]["code"] == "calls_exhausted"
    await door.gateway.quiet()
    replies = await door.platform.logs.read(door.task_id, "llm_response", 0)
    assert b"".join(chunk.text for chunk in replies).count(b"== reply") == 2
    assert await door.platform.logs.read(door.task_id, "prompt", 0)
    task = await door.platform.tasks.get(door.task_id, tenant_id="tnt_doors")
    assert task.usage.calls == 2


async def test_an_event_counts_once_and_holds_no_secret(door: Door) -> None:
    event = {"number": 1, "type": "agent.note", "data": {"text": ["it is the-models-key"]}}
    first = await door.client.post("/v1/events", json=event)
    again = await door.client.post("/v1/events", json=event)
    assert first.json() == again.json()
    events = await door.platform.events.after(door.task_id, 0)
    notes = [event.data for event in events if event.type == "agent.note"]
    assert notes == [{"text": ["it is [redacted]"]}]


async def test_a_checkpoint_is_kept(door: Door) -> None:
    body = {"number": 1, "step": 3, "patch": "cGF0Y2g=", "state": {"v": 1}}
    answer = await door.client.put("/v1/checkpoint", json=body)
    assert answer.status_code == 202
    last = await door.platform.checkpoints.last(door.task_id)
    assert last is not None
    assert await door.platform.objects.get(f"{last.object}/patch") == b"patch"


async def test_control_tells_of_a_cancel(door: Door) -> None:
    asking = asyncio.create_task(door.client.get("/v1/control?after=0&wait=20"))
    await door.platform.tasks.cancel(door.task_id, tenant_id="tnt_doors")
    answer = await asyncio.wait_for(asking, 15)
    assert answer.json()["items"][0]["type"] == "cancel"


async def test_control_tells_what_people_say_and_a_cancel_last(door: Door) -> None:
    messages = door.platform.messages

    async def tell(text: str) -> str:
        message = Message(
            id=door.platform.ids.new("msg"),
            task_id=door.task_id,
            text=text,
            created_by="key_x",
            created_at=door.platform.clock.now(),
        )
        return (await messages.add(message, tenant_id="tnt_doors")).id

    first, second = await tell("one"), await tell("two")
    heard = {"number": 1, "type": "agent.message", "data": {"message": first}}
    assert (await door.client.post("/v1/events", json=heard)).status_code == 202
    read = [each.delivered_at is not None for each in await messages.of_task(door.task_id)]
    assert read == [True, False]
    told = (await door.client.get("/v1/control?after=0&wait=0")).json()
    assert [each["data"] for each in told["items"]] == [
        {"message": first, "text": "one"},
        {"message": second, "text": "two"},
    ]
    assert (await door.client.get("/v1/control?after=2&wait=0")).json() == {"items": [], "next": 2}
    await door.platform.tasks.cancel(door.task_id, tenant_id="tnt_doors")
    with pytest.raises(Conflict):
        await tell("three")
    for after, kinds in ((0, ["message", "message", "cancel"]), (1, ["message", "cancel"])):
        told = (await door.client.get(f"/v1/control?after={after}&wait=0")).json()
        assert [each["type"] for each in told["items"]] == kinds
        assert told["next"] == 3


async def test_log_lines_count_once_and_hold_no_secret(door: Door) -> None:
    line = {"number": 1, "stream": "agent", "text": "it is the-models-key\n"}
    first = await door.client.post("/v1/logs", json=line)
    again = await door.client.post("/v1/logs", json=line)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    chunks = await door.platform.logs.read(door.task_id, "agent", 0)
    assert b"".join(chunk.text for chunk in chunks) == b"it is [redacted]\n"


async def test_an_output_is_kept_under_a_plain_name(door: Door) -> None:
    answer = await door.client.put("/v1/outputs/answer.md", content=b"hello")
    assert (answer.status_code, answer.json()["size"]) == (202, 5)
    name = f"codexsys-code/outputs/{door.task_id}/{door.sandbox_id}/answer.md"
    assert await door.platform.objects.get(name) == b"hello"
    large = await door.client.put("/v1/outputs/a", content=bytes(17 << 20))
    assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")


async def test_the_workspace_is_the_stored_base(door: Door) -> None:
    early = await door.client.get("/v1/workspace")
    assert early.status_code == 404
    name = f"codexsys-code/processed_code/{door.task_id}/base.tar.gz"
    await door.platform.objects.put(name, b"the base")
    base = Base(commit="1" * 40, tree="2" * 40, object=name)
    assert await door.platform.attempts.set_base(door.hold, base)
    assert (await door.client.get("/v1/workspace")).content == b"the base"


async def test_a_cancelled_task_makes_no_call(door: Door) -> None:
    await door.platform.tasks.cancel(door.task_id, tenant_id="tnt_doors")
    answer = await door.client.post("/v1/chat/completions", json=CHAT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "task_cancelled")
    task = await door.platform.tasks.get(door.task_id, tenant_id="tnt_doors")
    assert task.usage.calls == 0


@pytest.mark.parametrize("role", [SandboxRole.BASELINE, SandboxRole.VERIFY])
async def test_only_an_agents_token_opens_the_door(door: Door, role: SandboxRole) -> None:
    row = row_of(door.platform, door.hold, role=role, token="checks")
    assert await door.platform.sandboxes.add(door.hold, row)
    assert await door.platform.sandboxes.live(row.id)
    headers = {"Authorization": "Bearer checks"}
    for method, path in (("POST", "/v1/chat/completions"), ("GET", "/v1/control?wait=0")):
        answer = await door.client.request(method, path, json=CHAT, headers=headers)
        assert answer.status_code == 401


OTHERS = [
    ("POST", "/v1/events"),
    ("POST", "/v1/logs"),
    ("PUT", "/v1/checkpoint"),
    ("PUT", "/v1/outputs/answer.md"),
    ("GET", "/v1/workspace"),
    ("GET", "/v1/control?wait=0"),
]


async def test_the_preflight_gate_may_ask_a_model_and_nothing_else(door: Door) -> None:
    row = row_of(door.platform, door.hold, role=SandboxRole.PREFLIGHT, token="gate")
    assert await door.platform.sandboxes.add(door.hold, row)
    headers = {"Authorization": "Bearer gate"}
    for path in ("/v1/chat/completions", "/v1/responses"):
        body = CHAT if path.startswith("/v1/chat") else {"input": "hello"}
        answer = await door.client.post(path, json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        for method, other in OTHERS:  # also once it is known here
            answer = await door.client.request(method, other, json={}, headers=headers)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token_revoked")
    assert (await door.usage()).calls == 2
    assert await door.platform.sandboxes.end(door.hold, row.id, "ready")
    answer = await door.client.post("/v1/chat/completions", json=CHAT, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "token_revoked")


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [
        ("POST", "/v1/chat/completions", b"{"),
        ("POST", "/v1/chat/completions", b"[]"),
        ("POST", "/v1/chat/completions", b"[" * 100_000),
        ("POST", "/v1/chat/completions", b'{"messages": []}'),
        ("POST", "/v1/chat/completions", b'{"messages": [7]}'),
        ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user"}], "n": 2}'),
        (
            "POST",
            "/v1/chat/completions",
            (
                b'{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": '
                b'{"url": "http://169.254.169.254/"}}]}]}'
            ),
        ),
        *(
            (
                "POST",
                "/v1/chat/completions",
                b'{"messages": [{"role": "user", "content": [%s]}]}' % part,
            )
            for part in (
                b'{"type": "file", "file": {"file_id": "file_1"}}',
                b'{"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}}',
                b'{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}',
                b'{"type": "image_url", "image_url": {"url": "data:image/svg+xml;base64,AAAA"}}',
                b'{"type": "video_url", "video_url": {"url": "https://example.org/a.mp4"}}',
                b'{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}',
            )
        ),
        *(
            ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user"}], %s}' % more)
            for more in (
                b'"store": true',
                b'"background": true',
                b'"previous_response_id": "resp_1"',
                b'"tools": [{"type": "code_interpreter"}]',
                b'"tools": [{"type": "mcp", "server_url": "https://example.org"}]',
                b'"tools": 7',
                b'"tools": [{"type": "web_search"}]',
                (
                    b'"tools": [{"type": "function", "function": {"name": "f", "parameters": '
                    b'{"a": [{"$ref": "https://example.org/s"}]}}}]'
                ),
                (
                    b'"response_format": {"type": "json_schema", "json_schema": {"name": "s", '
                    b'"schema": {"$dynamicRef": "file:///etc/passwd"}}}'
                ),
                b'"web_search_options": {}',
                b'"audio": {}',
            )
        ),
        ("POST", "/v1/chat/completions", b'{"messages": [{"role": []}]}'),
        ("POST", "/v1/events", b'{"number": 0, "type": "agent.note", "data": {}}'),
        ("POST", "/v1/events", b'{"number": 1, "type": "task.succeeded", "data": {}}'),
        ("POST", "/v1/events", b'{"number": 1, "type": [], "data": {}}'),
        ("POST", "/v1/events", b'{"number": 1, "type": "agent.plan", "data": {"steps": []}}'),
        ("POST", "/v1/events", b'{"number": 9999999999999, "type": "agent.note", "data": {}}'),
        (
            "POST",
            "/v1/events",
            b'{"number": 1, "type": "agent.note", "data": {"a": %s}}' % (b"[" * 900 + b"]" * 900),
        ),
        ("POST", "/v1/logs", b'{"number": 1, "stream": "verify", "text": "x"}'),
        ("POST", "/v1/logs", b'{"number": 1, "stream": "agent", "text": 7}'),
        ("PUT", "/v1/checkpoint", b'{"number": 1, "patch": "*"}'),
        ("PUT", "/v1/checkpoint", b'{"number": 1, "step": "x", "patch": ""}'),
        ("PUT", "/v1/checkpoint", b'{"number": 1, "step": 1e99, "patch": ""}'),
        ("PUT", "/v1/outputs/.hidden", b"x"),
        ("GET", "/v1/control?after=x", b""),
        ("GET", "/v1/control?wait=nan", b""),
    ],
)
async def test_what_no_agent_of_ours_asks_is_refused(
    door: Door, method: str, path: str, content: bytes
) -> None:
    answer = await door.client.request(method, path, content=content)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "not_allowed")
    assert answer.json()["error"]["message"]
    assert (await door.usage()).calls == 0
    assert await door.platform.checkpoints.last(door.task_id) is None
