"""A gateway over real HTTP, and a client that has the token of a live sandbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
from tests.support.api_service import client_of, free_port

from codexsys_core.attempt import Attempt, Hold
from codexsys_core.errors import Conflict
from codexsys_core.limits import Limits
from codexsys_core.principal import Tenant, hash_secret
from codexsys_core.sandbox import Sandbox, SandboxRole
from codexsys_core.source import GitSource
from codexsys_core.task import Task, TaskSpec, Usage
from codexsys_gateway.main import Gateway
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.settings import Settings

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}


@dataclass
class Door:
    """A client with the token of a live sandbox."""

    platform: Platform
    client: httpx2.AsyncClient
    task_id: str
    sandbox_id: str
    hold: Hold
    gateway: Gateway

    async def usage(self) -> Usage:
        await self.gateway.quiet()
        return await self.platform.wallet.usage(self.task_id)

    async def replies(self) -> int:
        await self.gateway.quiet()
        kept = await self.platform.logs.read(self.task_id, "llm_response", 0)
        return b"".join(chunk.text for chunk in kept).count(b"== reply")


@asynccontextmanager
async def open_door(
    folder: Path, limits: Limits, *, model: str | None = None, **given: Any
) -> AsyncIterator[Door]:
    settings = Settings(data_dir=folder, gateway_port=free_port(), **given)
    async with open_platform(settings) as platform:
        hold, sandbox = await agents_sandbox(platform, limits, model=model)
        gateway = Gateway(platform)
        running = asyncio.create_task(gateway.run())
        url = f"http://127.0.0.1:{settings.gateway_port}"
        async with client_of(url, "token") as client:
            async with asyncio.timeout(10):
                while not await _answers(client):  # noqa: ASYNC110 - another server's start has no event
                    await asyncio.sleep(0.05)
            yield Door(platform, client, sandbox.task_id, sandbox.id, hold, gateway)
        gateway.stop()
        await asyncio.wait_for(running, 15)


async def _answers(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/health/live")).status_code < 500
    except httpx2.TransportError:
        return False


async def agents_sandbox(
    platform: Platform,
    limits: Limits,
    *,
    model: str | None = None,
    token: str = "token",
    tenant: str = "tnt_doors",
) -> tuple[Hold, Sandbox]:
    ids, now = platform.ids, platform.clock.now()
    with suppress(Conflict):
        await platform.keys.add_tenant(Tenant(id=tenant, name=tenant, created_at=now))
    source = GitSource(url="https://example.org/a.git")
    spec = TaskSpec(prompt="x", source=source, limits=limits, model=model)
    task = Task(id=ids.new("task"), tenant_id=tenant, created_by="key_x", spec=spec, created_at=now)
    attempt = Attempt(id=ids.new("att"), task_id=task.id, tenant_id=tenant)
    await platform.tasks.add(task, attempt)
    claim = await platform.attempts.claim(task.id, owner="wrk_x", lease_seconds=60)
    assert claim is not None
    row = row_of(platform, claim.hold, role=SandboxRole.AGENT, token=token)
    assert await platform.sandboxes.add(claim.hold, row)
    assert await platform.sandboxes.live(row.id)
    return claim.hold, row


def row_of(platform: Platform, hold: Hold, *, role: SandboxRole, token: str) -> Sandbox:
    now = platform.clock.now()
    return Sandbox(
        id=platform.ids.new("sbx"),
        task_id=hold.task_id,
        tenant_id=hold.tenant_id,
        attempt_id=hold.attempt_id,
        attempt=hold.number,
        fence=hold.fence,
        role=role,
        backend="dummy",
        place="here",
        token_hash=hash_secret(token),
        deadline=now + timedelta(hours=1),
        created_at=now,
    )
