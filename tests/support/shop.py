"""A platform in one process with its API, as a user of it sees it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.support.api_service import client_of, free_port, make_key
from tests.support.place import Place, open_place
from tests.support.users import User

from codexsys_api.main import Api


@asynccontextmanager
async def open_shop(folder: Path, **settings: Any) -> AsyncIterator[tuple[Place, User]]:
    """Run every service, and give a tenant with a key."""
    async with open_place(folder, api_port=free_port(), **settings) as place:
        tenant, key = await make_key(place.platform, "ada")
        place.tenant = tenant
        api = Api(place.platform)
        running = asyncio.create_task(api.run())
        try:
            await asyncio.wait_for(api.serving(), 10)
            async with client_of(api.url, key) as client:
                yield place, User(client, tenant)
        finally:
            api.stop()
            await asyncio.wait_for(running, 15)


async def diff_of(user: User, task_id: str) -> str:
    """Return a finished task's patch by its presigned link."""
    artifacts = await user.artifacts(task_id)
    answer = await user.client.get(artifacts["diff.patch"]["url"])
    assert answer.is_success
    return answer.text


async def retried(user: User, task_id: str, body: dict[str, Any] | None = None) -> str:
    """Retry a task and return the new one's id."""
    answer = await user.client.post(
        f"/api/v1/tasks/{task_id}/retry",
        content=json.dumps(body or {}),
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])
