"""Polls and submits are answered past the framework: in every way as the described routes answer."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.support.api_service import Served, client_of, make_key, serving

GIT = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}
SAID = ("content-type", "cache-control", "etag", "retry-after", "www-authenticate")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("polls"), rate_per_minute=0) as api:
        yield api


async def made(served: Served) -> str:
    answer = await served.client.post("/api/v1/tasks", json=GIT)
    assert answer.status_code == 202, answer.text
    return str(answer.headers["location"])


def said(answer: httpx2.Response) -> tuple[object, ...]:
    """Return all that must be the same of two answers; each request has an id of its own."""
    body = answer.text.replace(answer.headers["x-request-id"], "") if answer.text else ""
    return answer.status_code, body, [answer.headers.get(name) for name in SAID]


@pytest.mark.asyncio(loop_scope="module")
async def test_a_poll_is_answered_as_the_route_answers(served: Served) -> None:
    path = await made(served)
    gone = path[:-5] + "zzzzz"
    tag = (await served.client.get(path)).headers["etag"]
    _, other = await make_key(served.platform, "others")
    keys = (f"Bearer {served.key}", f"Bearer {other}", f"Bearer {served.key}x", "Basic x", "")
    async with client_of(served.url) as client:
        for key in keys:
            for address in (path, gone):
                for known in (tag, f'W/{tag}, "x"', "*", '"other"', ""):
                    headers = {"authorization": key, "if-none-match": known}
                    poll = await client.get(address, headers=headers)
                    described = await client.get(f"{address}?wait=0", headers=headers)
                    assert said(poll) == said(described), headers


@pytest.mark.asyncio(loop_scope="module")
async def test_a_poll_sees_what_has_just_happened(served: Served) -> None:
    path = await made(served)
    first = await served.client.get(path)
    known = {"if-none-match": first.headers["etag"]}
    assert (await served.client.get(path, headers=known)).status_code == 304
    await served.client.post(f"{path}/cancel")
    now = await served.client.get(path, headers=known)
    assert (now.status_code, now.json()["status"]) == (200, "cancelled")
    assert "retry-after" not in now.headers
    known = {"if-none-match": now.headers["etag"]}
    assert (await served.client.get(path, headers=known)).status_code == 304
    await served.client.delete(path)
    assert (await served.client.get(path, headers=known)).json()["prompt"] == ""


@pytest.mark.asyncio(loop_scope="module")
async def test_a_key_that_was_just_revoked_polls_no_more(served: Served) -> None:
    path = await made(served)
    key = (await served.client.post("/api/v1/keys", json={"name": "for a while"})).json()
    async with client_of(served.url, key["key"]) as client:
        assert (await client.get(path)).status_code == 200
        await served.client.delete(f"/api/v1/keys/{key['id']}")
        refused = await client.get(path)
    assert (refused.status_code, refused.json()["code"]) == (401, "key_revoked")


MADE = re.compile(r"(task|req)_[0-9a-z]{26}|20\d\d-[0-9T:.-]+Z|\"queue_position\":\d+")
BODIES: dict[str, Any] = {
    "good": json.dumps(GIT),
    "no JSON": "{",
    "no object": "[]",
    "nothing": "",
    "unknown field": json.dumps(GIT | {"promt": "x"}),
    "missing": json.dumps({"source": GIT["source"]}),
    "several": json.dumps({"prompt": 5, "limits": {"calls": "many"}, "labels": {"a b": "c"}}),
    "no source": json.dumps({"prompt": "x"}),
    "later": json.dumps(GIT | {"deliver": {}}),
    "refused": json.dumps({"prompt": "x", "source": {"git": {"url": "https://10.0.0.1/a.git"}}}),
    "no such task": json.dumps({"prompt": "x", "source": {"task": "task_" + "0" * 26}}),
    "too large": "x" * ((1 << 20) + 1),
}


@pytest.mark.asyncio(loop_scope="module")
async def test_a_submit_is_answered_as_the_route_answers(served: Served) -> None:
    reader = await served.client.post("/api/v1/keys", json={"name": "eyes", "scope": "read"})
    keys = (f"Bearer {served.key}", f"Bearer {reader.json()['key']}", "Bearer x", "")
    chosen: list[tuple[str, str, str, dict[str, str]]]
    chosen = [(keys[0], "application/json", each, {}) for each in BODIES.values()]
    chosen += [(key, "application/json", BODIES["good"], {}) for key in keys[1:]]
    for kind in ("application/json; charset=utf-8", "Application/JSON", "text/plain", ""):
        chosen.append((keys[0], kind, BODIES["good"], {}))
    for key in ("", "k" * 256):
        chosen.append((keys[0], "application/json", BODIES["good"], {"idempotency-key": key}))

    async with client_of(served.url) as client:

        async def sent(path: str, key: str, kind: str, body: str, more: dict[str, str]) -> Any:
            headers = {"authorization": key, "content-type": kind, **more}
            answer = await client.post(path, content=body, headers=headers)
            names = [*SAID, "location", "ratelimit", "ratelimit-policy"]
            known = [MADE.sub("-", answer.headers.get(name, "-")) for name in names]
            return answer.status_code, MADE.sub("-", answer.text), known

        for each in chosen:
            fast = await sent("/api/v1/tasks", *each)
            described = await sent("/api/v1/tasks?check=false", *each)
            assert fast == described, each
    made = await served.client.post(
        "/api/v1/tasks", json=GIT, headers={"idempotency-key": "two ways"}
    )
    again = await served.client.post(
        "/api/v1/tasks?check=0", json=GIT, headers={"idempotency-key": "two ways"}
    )
    assert again.json() == made.json()
