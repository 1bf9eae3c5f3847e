"""Tenants with keys, and what they do with the API over HTTP."""

import contextlib
import io
import json
import zipfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from tests.support.distributed import Servers, eventually

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_core.clock import SystemClock
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.principal import ApiKey, Tenant, hash_secret, key_text, new_secret

TERMINAL = {"succeeded", "failed", "cancelled", "timed_out"}


async def make_key(servers: Servers, tenant: str) -> str:
    """Make a tenant and return its key."""
    ids, now, secret = TimeOrderedIds(), SystemClock().now(), new_secret()
    tenant_id, key_id = ids.new("ten"), ids.new("key")
    async with Database(servers.database) as database:
        keys = SqlKeys(database=database)
        await keys.add_tenant(Tenant(id=tenant_id, name=tenant, created_at=now))
        await keys.add_key(
            ApiKey(
                id=key_id,
                tenant_id=tenant_id,
                name="tests",
                secret_hash=hash_secret(secret),
                created_at=now,
            )
        )
    return key_text(key_id, secret)


def zipped(files: Mapping[str, str | bytes]) -> bytes:
    """Return a zip of these files."""
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return into.getvalue()


@dataclass
class User:
    """One tenant at one of the APIs."""

    client: httpx2.AsyncClient
    tenant: str

    async def submit(self, body: dict[str, Any], *, archive: bytes | None = None) -> str:
        """Make a task, from a zip when there is one, and return its id."""
        if archive is None:
            answer = await self.client.post("/api/v1/tasks", json=body)
        else:
            parts: dict[str, tuple[str | None, str | bytes, str]] = {
                "task": (None, json.dumps(body), "application/json"),
                "file": ("code.zip", archive, "application/zip"),
            }
            answer = await self.client.post("/api/v1/tasks", files=parts)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def get(self, path: str, **options: Any) -> Any:
        """Return the JSON at a path of the API."""
        answer = await self.client.get(f"/api/v1{path}", **options)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    async def finished(self, task_id: str, *, seconds: float) -> dict[str, Any]:
        """Wait for the task's end and return it."""

        async def look() -> dict[str, Any] | None:
            task: dict[str, Any] = await self.get(f"/tasks/{task_id}")
            return task if task["status"] in TERMINAL else None

        return await eventually(look, seconds=seconds, what=f"{task_id} is over", every=0.3)

    async def artifacts(self, task_id: str) -> dict[str, dict[str, Any]]:
        """Return a task's artifacts by name."""
        found = await self.get(f"/tasks/{task_id}/artifacts")
        return {item["name"]: item for item in found["items"]}

    async def log(self, task_id: str, stream: str) -> str:
        """Return a log as it is now."""
        answer = await self.client.get(f"/api/v1/tasks/{task_id}/logs", params={"stream": stream})
        assert answer.is_success, answer.text
        return answer.text


@contextlib.asynccontextmanager
async def user(servers: Servers, url: str, tenant: str) -> AsyncIterator[User]:
    """Make a tenant and let it use the API at `url`."""
    headers = {"Authorization": f"Bearer {await make_key(servers, tenant)}"}
    async with httpx2.AsyncClient(
        base_url=url, headers=headers, timeout=30, trust_env=False
    ) as client:
        yield User(client, tenant)
