"""Notes to an agent over the API and from the command line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import Served, serving
from tests.support.operator import operate

from codexsys_core.message import MOST_MESSAGES

pytestmark = pytest.mark.asyncio(loop_scope="module")
GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("messages")) as api:
        yield api


async def submitted(served: Served, **more: Any) -> str:
    made = await served.client.post("/api/v1/tasks", json=GIT | more)
    return f"/api/v1/tasks/{made.json()['id']}"


async def test_a_message_says_whether_the_agent_has_read_it(served: Served) -> None:
    path = await submitted(served)
    sent = await served.client.post(f"{path}/messages", json={"text": "Use tabs."})
    assert (sent.status_code, sent.json()["delivered_at"]) == (202, None)
    await served.client.post(f"{path}/messages", json={"text": "And no spaces."})
    first = await served.client.get(f"{path}/messages", params={"limit": 1})
    assert first.json()["items"] == [sent.json()]
    second = (await served.client.get(first.links["next"]["url"])).json()
    assert ([each["text"] for each in second["items"]], second["next_cursor"]) == (
        ["And no spaces."],
        None,
    )
    await served.platform.messages.delivered(path.rpartition("/")[2], sent.json()["id"])
    (read, unread) = (await served.client.get(f"{path}/messages")).json()["items"]
    assert (bool(read["delivered_at"]), unread["delivered_at"]) == (True, None)
    events = (await served.client.get(f"{path}/events?after=0")).json()["items"]
    assert {"message": read["id"]} in [each["data"] for each in events]


async def test_a_message_that_nobody_would_read_is_refused(served: Served) -> None:
    over = await submitted(served)
    await served.client.post(f"{over}/cancel")
    command = await submitted(served, engine="command", command="true")
    full = await submitted(served)
    for _ in range(MOST_MESSAGES):
        await served.client.post(f"{full}/messages", json={"text": "x"})
    for path, code in (
        (over, "task_over"),
        (command, "messages_not_read"),
        (full, "messages_full"),
    ):
        refused = await served.client.post(f"{path}/messages", json={"text": "x"})
        assert (refused.status_code, refused.json()["code"]) == (409, code)
    for body in ({}, {"text": ""}, {"text": " "}, {"text": "x" * 10_001}, {"text": "x", "to": "y"}):
        refused = await served.client.post(f"{full}/messages", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


async def test_the_command_line_sends_and_lists(served: Served, tmp_path: Path) -> None:
    task_id = (await submitted(served)).rpartition("/")[2]
    variables = {"CODEXSYS_URL": served.url, "CODEXSYS_API_KEY": served.key}
    code, said, told = await operate(tmp_path, "message", task_id, "Use tabs.", variables=variables)
    assert (code, said[:4]) == (0, "msg_")
    assert "until the agent reads it" in told
    _, listed, _ = await operate(tmp_path, "message", task_id, variables=variables)
    assert listed == f"{said.strip()}  not read  Use tabs.\n"
    _, listed, _ = await operate(tmp_path, "message", task_id, "--json", variables=variables)
    assert json.loads(listed)["text"] == "Use tabs."
