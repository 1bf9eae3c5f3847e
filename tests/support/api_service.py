"""An API on the embedded platform, reached over real HTTP."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from tests.support import distributed

from codexsys_api.main import Api
from codexsys_core.principal import ApiKey, Tenant, hash_secret, key_text, new_secret
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.settings import Settings

free_port = distributed.free_port


@dataclass
class Served:
    """A running API with a tenant's client."""

    platform: Platform
    api: Api
    client: httpx2.AsyncClient
    tenant_id: str
    key: str

    @property
    def url(self) -> str:
        return self.api.url


async def make_key(platform: Platform, tenant: str) -> tuple[str, str]:
    """Return (tenant id, key) of a new tenant."""
    tenant_id, key_id, secret = platform.ids.new("ten"), platform.ids.new("key"), new_secret()
    now = platform.clock.now()
    await platform.keys.add_tenant(Tenant(id=tenant_id, name=tenant, created_at=now))
    await platform.keys.add_key(
        ApiKey(
            id=key_id,
            tenant_id=tenant_id,
            name=f"{tenant}'s",
            secret_hash=hash_secret(secret),
            created_at=now,
        )
    )
    return tenant_id, key_text(key_id, secret)


def zipped(files: dict[str, str]) -> bytes:
    into = io.BytesIO()
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return into.getvalue()


def multipart(
    task: str, content: bytes, filename: str = "a.zip"
) -> list[tuple[str, tuple[str | None, bytes]]]:
    """Return the parts of a create request with a zip."""
    return [("task", (None, task.encode())), ("file", (filename, content))]


def client_of(url: str, key: str | None = None) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return httpx2.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncIterator[Served]:
    chosen = Settings(data_dir=folder, api_port=free_port(), **settings)
    async with open_platform(chosen) as platform:
        tenant_id, key = await make_key(platform, "ours")
        api = Api(platform)
        running = asyncio.create_task(api.run())
        try:
            await asyncio.wait_for(api.serving(), 10)
            async with client_of(api.url, key) as client:
                yield Served(
                    platform=platform, api=api, client=client, tenant_id=tenant_id, key=key
                )
        finally:
            api.stop()
            await asyncio.wait_for(running, 15)
