"""A request that comes again with its Idempotency-Key is answered again, and done once."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from tests.e2e.test_answers import suspended
from tests.support.api_service import Served, client_of, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    async with serving(tmp_path_factory.mktemp("once")) as api:
        yield api


async def cancelled(served: Served) -> str:
    made = (await served.client.post("/api/v1/tasks", json=GIT)).json()["id"]
    await served.client.post(f"/api/v1/tasks/{made}/cancel")
    return f"/api/v1/tasks/{made}"


async def the_requests(served: Served) -> dict[str, tuple[str, Any, Any]]:
    """Return path, body and another body of each."""
    over = await cancelled(served)
    waits, question = await suspended(served)
    answer = {"question": question, "answer": "red"}
    return {
        "retry": (f"{over}/retry", {}, {"start_from": "source"}),
        "share": (f"{over}/shares", {"expires_in": 60}, {"expires_in": 61}),
        "key": ("/api/v1/keys", {"name": "ci"}, {"name": "ci", "scope": "read"}),
        "environment": ("/api/v1/environments", {"name": "web"}, {"name": "web", "setup": "true"}),
        "message": (f"/api/v1/tasks/{waits}/messages", {"text": "a"}, {"text": "b"}),
        "answer": (f"/api/v1/tasks/{waits}/answers", answer, answer | {"answer": "blue"}),
    }


async def post(
    client: httpx2.AsyncClient, path: str, body: Any, key: str
) -> tuple[int, dict[str, Any]]:
    answer = await client.post(path, json=body, headers={"Idempotency-Key": key})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("what", ["retry", "share", "key", "environment", "answer", "message"])
async def test_the_same_request_is_done_once_and_another_is_refused(
    served: Served, what: str
) -> None:
    path, body, other = (await the_requests(served))[what]
    key = f"once {what}"
    answers = await asyncio.gather(*(post(served.client, path, body, key) for _ in range(4)))
    answers.append(await post(served.client, path, body, key))
    assert answers[0][0] in (200, 201, 202), answers[0]
    assert all(answer == answers[0] for answer in answers)
    status, refused = await post(served.client, path, other, key)
    assert (status, refused["code"]) == (422, "idempotency_mismatch")
    status, refused = await post(served.client, path, body, "")
    assert (status, refused["code"]) == (422, "idempotency_key")
    if "/tasks/" in path:
        elsewhere = f"{await cancelled(served)}/{path.rpartition('/')[2]}"
        status, refused = await post(served.client, elsewhere, body, key)
        assert (status, refused["code"]) == (422, "idempotency_mismatch")


async def test_an_answer_is_told_again_after_the_end(served: Served) -> None:
    task_id, question = await suspended(served)
    path, body = f"/api/v1/tasks/{task_id}", {"question": question, "answer": "red"}
    await post(served.client, f"{path}/answers", body, "late")
    await served.client.post(f"{path}/cancel")
    status, told = await post(served.client, f"{path}/answers", body, "late")
    assert (status, told["status"]) == (200, "cancelled")


async def test_a_secret_is_told_again_to_whoever_asked_and_stored_nowhere(
    served: Served,
) -> None:
    body = {"name": "told again"}
    _, made = await post(served.client, "/api/v1/keys", body, "secret")
    _, again = await post(served.client, "/api/v1/keys", body, "secret")
    assert made == again
    async with client_of(served.url, made["key"]) as works:
        assert (await works.get("/api/v1/me")).json()["key"]["id"] == made["id"]
        status, refused = await post(works, "/api/v1/keys", body, "secret")
        assert (status, refused["code"]) == (422, "idempotency_mismatch")
    _, another = await post(served.client, "/api/v1/keys", body, "another")
    secret = made["key"].removeprefix(f"cdx_{made['id'].removeprefix('key_')}_")
    assert len(secret) == 43
    assert secret not in another["key"]
    folder = served.platform.settings.data_dir
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert len(kept) > 1
    assert not any(secret.encode() in each for each in kept)


async def test_a_share_that_was_made_twice_is_one_link(served: Served) -> None:
    path = f"{await cancelled(served)}/shares"
    _, made = await post(served.client, path, {}, "one link")
    _, again = await post(served.client, path, {}, "one link")
    assert made == again
    async with client_of(served.url) as friend:
        assert (await friend.get(made["url"])).status_code == 200
    items = (await served.client.get(path)).json()["items"]
    assert [(each["id"], each["url"]) for each in items] == [(made["id"], None)]
