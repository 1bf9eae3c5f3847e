"""Streams, waiting, tags, repeats, shares and pages over the API."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.support.api_service import Served, client_of, multipart, serving, zipped

from codexsys_api.auth import sign_in_link
from codexsys_core.event import EventType
from codexsys_core.principal import parse_key

GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}
DEADLINE = 20


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as api:
        yield api


async def submitted(served: Served, **more: Any) -> dict[str, Any]:
    answer = await served.client.post("/api/v1/tasks", json=GIT | more)
    assert answer.status_code == 202, answer.text
    task: dict[str, Any] = answer.json()
    return task


async def events_of(
    client: httpx2.AsyncClient, path: str, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[str, str, Any]]:
    """Yield (id, event, data) of a stream until it ends."""
    accept = {"accept": "text/event-stream", **(headers or {})}
    async with client.stream("GET", path, headers=accept) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                yield fields["id"], fields["event"], json.loads(fields["data"])
                fields = {}


async def test_events_stream_from_history_to_done_and_resume(served: Served) -> None:
    task = await submitted(served)
    path = f"/api/v1/tasks/{task['id']}/events"
    seen = []
    async with asyncio.timeout(DEADLINE):
        async for number, name, _ in events_of(served.client, path):
            seen.append((number, name))
            if name == "task.queued":
                note = {"text": "hello"}
                await served.platform.events.append(
                    task["id"], EventType.AGENT_NOTE, note, attempt=1
                )
                await served.platform.hints.tell(f"task:{task['id']}")
            if name == "agent.note":
                await served.client.post(f"/api/v1/tasks/{task['id']}/cancel")
        assert [name for _, name in seen] == ["task.queued", "agent.note", "task.cancelled", "done"]
        again = [each async for each in events_of(served.client, path, {"last-event-id": "2"})]
    assert [(number, name) for number, name, _ in again] == seen[2:]
    polled = (await served.client.get(f"{path}?after=0")).json()["items"]
    assert [(str(each["id"]), each["type"]) for each in polled] == seen[:-1]


async def test_all_who_watch_a_task_hear_the_same_whenever_they_came(served: Served) -> None:
    task = await submitted(served)
    path = f"/api/v1/tasks/{task['id']}"

    async def watch(here: asyncio.Event) -> list[str]:
        numbers = []
        async for number, name, _ in events_of(served.client, f"{path}/events"):
            numbers += [number] if name != "done" else []
            here.set()
        return numbers

    async with asyncio.timeout(DEADLINE):
        watching = []
        for _ in range(4):
            here = asyncio.Event()
            watching.append(asyncio.create_task(watch(here)))
            await here.wait()
            told = await served.client.post(f"{path}/messages", json={"text": "Mind this."})
            assert told.status_code == 202, told.text
        assert (await served.client.post(f"{path}/cancel")).status_code == 200
        heard = await asyncio.gather(*watching)
    listed = (await served.client.get(f"{path}/events?after=0")).json()["items"]
    assert heard == [[str(event["id"]) for event in listed]] * 4


async def test_logs_have_no_gap_as_stream_and_as_text(served: Served) -> None:
    task = await submitted(served)
    logs = served.platform.logs
    for number, text in enumerate((b"one\n", "zwö\n".encode(), b"three\n"), 1):
        await logs.append(task["id"], "sbx_1", "agent", number, text)
    await served.client.post(f"/api/v1/tasks/{task['id']}/cancel")
    path = f"/api/v1/tasks/{task['id']}/logs?stream=agent"
    plain = await served.client.get(path)
    assert plain.text == "one\nzwö\nthree\n"
    assert (await served.client.get(f"{path}&after=4")).text == "zwö\nthree\n"
    async with asyncio.timeout(DEADLINE):
        chunks = [each async for each in events_of(served.client, path)]
        rest = [each async for each in events_of(served.client, path, {"last-event-id": "4"})]
    assert chunks[-1][1] == rest[-1][1] == "done"
    assert "".join(data["text"] for _, name, data in chunks if name == "log") == plain.text
    assert rest == chunks[1:]
    assert (
        await served.client.get(f"/api/v1/tasks/{task['id']}/logs?stream=prompt")
    ).status_code == 422


async def test_a_known_state_is_not_sent_again_and_waiting_ends_at_a_change(served: Served) -> None:
    task = await submitted(served)
    path = f"/api/v1/tasks/{task['id']}"
    first = await served.client.get(path)
    assert first.headers["retry-after"]
    known = {"if-none-match": first.headers["etag"]}
    assert (await served.client.get(path, headers=known)).status_code == 304
    waiting = asyncio.create_task(served.client.get(f"{path}?wait=20", headers=known))
    await served.client.post(f"{path}/cancel")
    answer = await asyncio.wait_for(waiting, DEADLINE)
    assert answer.json()["status"] == "cancelled"
    assert answer.json()["end_reason"]["code"] == "cancelled"
    assert "retry-after" not in answer.headers


async def test_the_same_key_is_the_same_task(served: Served) -> None:
    headers = {"idempotency-key": "a"}
    posts = [served.client.post("/api/v1/tasks", json=GIT, headers=headers) for _ in range(5)]
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    other = await served.client.post("/api/v1/tasks", json=GIT | {"priority": 1}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def test_the_same_zip_is_stored_once(served: Served) -> None:
    content = zipped({"a.py": "1\n"})

    async def post() -> str:
        files = multipart('{"prompt": "x"}', content)
        headers = {"idempotency-key": "z"}
        answer = await served.client.post("/api/v1/tasks", files=files, headers=headers)
        return str(answer.json()["id"])

    ids = await asyncio.gather(*(post() for _ in range(3)))
    assert len(set(ids)) == 1
    names = await served.platform.objects.names("codexsys-code/tmp_zips/")
    assert names == [f"codexsys-code/tmp_zips/{ids[0]}/code.zip"]


async def test_lists_go_on_by_cursor_and_filter_by_label(served: Served) -> None:
    ids = [(await submitted(served, labels={"n": str(n)}))["id"] for n in range(5)]
    found, path = [], "/api/v1/tasks?limit=2"
    while path:
        answer = await served.client.get(path)
        found += [task["id"] for task in answer.json()["items"]]
        link = re.match(r"<(.*)>; rel=\"next\"", answer.headers.get("link", ""))
        path = link[1] if link else ""
    assert found == ids[::-1]
    labelled = (await served.client.get("/api/v1/tasks?label=n=3")).json()["items"]
    assert [task["id"] for task in labelled] == [ids[3]]


async def test_retry_is_a_new_task_of_a_terminal_one(served: Served) -> None:
    task = await submitted(served)
    path = f"/api/v1/tasks/{task['id']}"
    early = await served.client.post(f"{path}/retry")
    assert (early.status_code, early.json()["code"]) == (409, "task_not_over")
    await served.client.post(f"{path}/cancel")
    again = await served.client.post(f"{path}/retry", json={"limits": {"calls": 7}})
    assert again.status_code == 202
    assert (again.json()["retry_of"], again.json()["limits"]["calls"]) == (task["id"], 7)


async def test_health_metrics_and_description(served: Served) -> None:
    async with client_of(served.url) as anyone:
        assert (await anyone.get("/healthz")).text == "ok\n"
        await anyone.get("/api/v1/tasks/task_1")
        assert (await anyone.get("/readyz")).json() == {"ready": True, "problems": {}}
        counted = (await anyone.get("/metrics")).text
        assert 'route="/healthz"' in counted
        assert 'route="/api/v1/tasks/{task_id}"' in counted
        assert "task_1" not in counted
        described = (await anyone.get("/api/v1/openapi.json")).json()
        assert "/api/v1/tasks" in described["paths"]
        assert "CreateTask" in described["components"]["schemas"]
        assert "budget_exhausted" in described["components"]["schemas"]["EndReason"]["enum"]
        assert "createTask" in str(described)
        assert "/api/v1/tasks" in (await anyone.get("/docs")).text


async def test_pages_from_sign_in_to_revoked_share(served: Served) -> None:
    parsed = parse_key(served.key)
    assert parsed is not None
    link = sign_in_link(served.platform, key_id=parsed[0], base_url=served.url)
    async with client_of(served.url) as browser, client_of(served.url) as friend:
        assert (await browser.get("/tasks")).headers["location"] == "/sign-in"
        assert (await browser.get(link)).headers["location"] == "/tasks"
        assert (await friend.get(link)).status_code == 401
        page = await browser.get("/submit")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        csrf = csrf_of(page.text)
        form = {"source": "git", "url": "https://example.org/a.git", "prompt": "Fix it"}
        forged = await browser.post("/submit", data=form)
        assert forged.status_code == 403
        wrong = await browser.post(
            "/submit", data=form | {"csrf": csrf, "url": "https://10.0.0.1/a"}
        )
        assert wrong.status_code == 422
        assert "Fix it" in wrong.text
        made = await browser.post("/submit", data=form | {"csrf": csrf})
        path = made.headers["location"]
        file = {"file": ("a.zip", zipped({"a.py": "1\n"}))}
        zip_form = form | {"csrf": csrf, "source": "zip", "url": ""}
        assert (await browser.post("/submit", data=zip_form, files=file)).status_code == 303
        for tab in ("", "?tab=diff", "?tab=log", "?tab=checks", "?tab=files", "?tab=details"):
            assert (await browser.get(path + tab)).status_code == 200
        assert (await browser.get(f"/api/v1{path}")).status_code == 401
        shown = await browser.post(
            f"{path}/shares", data={"csrf": csrf, "expires_in": "3600", "parts": ["status", "logs"]}
        )
        address = re.search(r'id="new-share-url" href="([^"]+)"', shown.text)
        assert address is not None
        shared = await friend.get(address[1])
        assert shared.status_code == 200
        assert "Fix it" not in shared.text
        revoke = re.search(r'action="(/shares/[^"]+/revoke)"', shown.text)
        assert revoke is not None
        task_id = path.rpartition("/")[2]
        assert (
            await browser.post(revoke[1], data={"csrf": csrf, "task": task_id})
        ).status_code == 303
        assert (await friend.get(address[1])).status_code == 404
        assert (await browser.post(f"{path}/cancel", data={"csrf": csrf})).status_code == 303
        assert "Cancelled" in (await browser.get(path)).text
        lost = await browser.get("/tasks/none", headers={"accept": "text/html"})
        assert (lost.status_code, lost.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert (await browser.post("/sign-out", data={"csrf": csrf})).headers[
            "location"
        ] == "/sign-in"
        assert (await browser.get("/tasks")).headers["location"] == "/sign-in"


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page)
    assert found is not None
    return found[1]


async def test_a_link_of_the_local_store_gives_the_object(served: Served) -> None:
    name = "codexsys-logs/logs/task_1/a1-f1/diff.patch"
    await served.platform.objects.put(name, b"+1\n")
    link = await served.platform.objects.link(
        name, filename="diff.patch", content_type="text/plain"
    )
    async with client_of(served.url) as anyone:
        answer = await anyone.get(link.url)
        assert (answer.content, answer.headers["content-type"]) == (b"+1\n", "text/plain")
        assert "attachment" in answer.headers["content-disposition"]
        assert (await anyone.get(link.url + "x")).status_code == 404


async def test_a_shutdown_does_not_wait_for_streams(served: Served) -> None:
    task = await submitted(served)
    async with asyncio.timeout(DEADLINE):
        path = f"/api/v1/tasks/{task['id']}/events"
        async with served.client.stream("GET", path, headers={"accept": "text/event-stream"}) as it:
            pieces = it.aiter_text()
            first = await anext(pieces)
            served.api.stop()
            rest = "".join([piece async for piece in pieces])
    assert first.startswith("id: 1\n")
    assert rest == ": this replica stops; go on from the last id\nretry: 1000\n\n"
