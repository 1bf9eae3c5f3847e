"""What an agent has done so far, as its task's owner sees it; and the servers that it is kept on."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from tests.support.distributed import Servers, eventually
from tests.support.users import User

KEPT_ON = ("embedded", "servers")


@asynccontextmanager
async def kept_on(kind: str) -> AsyncIterator[dict[str, Any]]:
    """Give the settings of SQLite and files, or of a database and buckets of our own on real servers."""
    if kind == "embedded":
        yield {}
        return
    servers = Servers(redis_number=6)
    await servers.make()
    try:
        yield {
            "database_url": servers.database,
            "store_url": f"s3://{servers.s3.netloc}",
            "store_key": servers.s3_key,
            "store_secret": servers.s3_secret,
            "store_bucket_suffix": servers.suffix,
        }
    finally:
        await servers.remove()


async def listed_change(user: User, task_id: str) -> dict[str, Any]:
    """Wait until the task lists a change, and return that entry."""

    async def look() -> dict[str, Any] | None:
        return (await user.artifacts(task_id)).get("diff.patch")

    return await eventually(look, seconds=60, what="a change is listed", every=0.2)


async def patch_of(item: dict[str, Any]) -> str:
    """Return what an entry's link gives, which is what the entry says."""
    async with httpx2.AsyncClient(trust_env=False) as anybody:
        answer = await anybody.get(item["url"])
    assert answer.is_success, answer.text
    content = answer.content
    assert (item["size"], item["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    return content.decode()


async def tree_of(user: User, task_id: str) -> dict[str, bytes]:
    """Return the files of the workspace; a link's content is where it leads."""
    answer = await user.client.get(f"/api/v1/tasks/{task_id}/workspace")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith("attachment;")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        return {each: archive.read(each) for each in archive.namelist() if each[-1] != "/"}
