"""Many who ask for the same thing with one Idempotency-Key, at all replicas at once."""

import asyncio
import uuid
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.e2e.conftest import SETTINGS
from tests.support.distributed import Fleet, Running
from tests.support.users import make_key, zipped

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

MANY = 50
SHARED = SETTINGS | {"CODEXSYS_SANDBOX": "dummy", "CODEXSYS_PUBLIC_URL": "http://codexsys.example"}
BODY = {
    "prompt": "x",
    "mode": "explain",
    "source": {"git": {"url": "http://127.0.0.1:1/never-fetched.git"}},
}


async def ask(client: httpx2.AsyncClient, api: Running, key: str) -> Any:
    """Return the 202's body."""
    url = f"{api.url}/api/v1/tasks"
    answer = await client.post(url, json=BODY, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_they_make_one_task_and_hear_the_same(tmp_path: Path) -> None:
    async with Fleet(folder=tmp_path / "hosts", redis_number=5, settings=SHARED) as fleet:
        apis = [await fleet.start("api", number) for number in (1, 2, 3)]
        headers = {"Authorization": f"Bearer {await make_key(fleet.servers, 'ours')}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
            for flushed_between in (False, True):
                key = uuid.uuid4().hex
                answers = await together(client, apis, key)
                if flushed_between:
                    await fleet.servers.flush()
                answers += await together(client, apis, key)
                for answer in answers:
                    assert answer == answers[0]
            listed = (await client.get(f"{apis[0].url}/api/v1/tasks")).json()["items"]
            assert len(listed) == 2


async def together(client: httpx2.AsyncClient, apis: list[Running], key: str) -> list[Any]:
    """Ask all replicas at once."""
    return await asyncio.gather(*(ask(client, apis[number % 3], key) for number in range(MANY)))


async def test_a_zip_too(tmp_path: Path) -> None:
    task = '{"prompt": "x", "mode": "explain"}'
    parts: dict[str, tuple[str | None, str | bytes, str]] = {
        "task": (None, task, "application/json"),
        "file": ("code.zip", zipped({"a.txt": "a\n"}), "application/zip"),
    }
    async with Fleet(folder=tmp_path / "hosts", redis_number=5, settings=SHARED) as fleet:
        apis = [await fleet.start("api", number) for number in (1, 2, 3)]
        headers = {
            "Authorization": f"Bearer {await make_key(fleet.servers, 'ours')}",
            "Idempotency-Key": uuid.uuid4().hex,
        }
        async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as client:
            answers = await asyncio.gather(
                *(client.post(f"{apis[n % 3].url}/api/v1/tasks", files=parts) for n in range(12))
            )
            assert {answer.status_code for answer in answers} == {202}, answers[0].text
            assert len({answer.json()["id"] for answer in answers}) == 1
            listed = (await client.get(f"{apis[0].url}/api/v1/tasks")).json()["items"]
            assert len(listed) == 1
