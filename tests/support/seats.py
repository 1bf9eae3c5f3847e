"""Who sits before a platform that `codexsys up` started: its owner at the API, and at the pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
from tests.support.browser import Profile
from tests.support.up_process import Up
from tests.support.users import User


@asynccontextmanager
async def owner_of(up: Up) -> AsyncIterator[User]:
    """Speak to the API with the key that `up` made."""
    headers = {"Authorization": f"Bearer {up.key}"}
    async with httpx2.AsyncClient(
        base_url=up.url, headers=headers, timeout=60, trust_env=False
    ) as client:
        yield User(client, "default")


async def sign_in(person: Profile, up: Up) -> None:
    """Sign in at the page, with the key that `up` made."""
    await person.open("/sign-in")
    await person.page.get_by_label("API key").fill(up.key)
    assert await person.press("Sign in") == 200
    assert person.path == "/tasks"
