"""Both Python clients, awaited alike."""

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from codexsys_client import AsyncClient, Client

Either = Any
"""An `AsyncClient`, or a `Client` whose calls are awaited in threads."""


class Threaded:
    """The client that is called, each call in a thread; what it iterates comes as a list."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        async def awaited(*arguments: Any, **options: Any) -> Any:
            def work() -> Any:
                found = call(*arguments, **options)
                return list(found) if inspect.isgenerator(found) else found

            return await asyncio.to_thread(work)

        return awaited


@asynccontextmanager
async def opened(
    kind: str, url: str, key: str, *, patience_seconds: float = 30
) -> AsyncIterator[Either]:
    options = {"timeout_seconds": 20, "patience_seconds": patience_seconds}
    if kind == "async":
        async with AsyncClient(url, key, **options) as client:
            yield client
        return
    with Client(url, key, **options) as called:
        yield Threaded(called)
