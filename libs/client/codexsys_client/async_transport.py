"""The transport for programs that await."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

from codexsys_client.calls import Call
from codexsys_client.errors import ClientError
from codexsys_client.sending import Progress, Watched
from codexsys_client.streams import Place
from codexsys_client.transport import (
    NO_PROXY,
    Platform,
    at_store,
    checked,
    multipart,
    stored,
)
from codexsys_client.types import Upload


class AsyncTransport:
    """Sends requests to one platform."""

    def __init__(
        self, url: str, key: str, *, timeout_seconds: float, patience_seconds: float
    ) -> None:
        self._patience_seconds = patience_seconds
        self._platform = Platform(url, key, timeout_seconds)
        self._http = httpx2.AsyncClient(
            timeout=timeout_seconds, follow_redirects=False, mounts=dict.fromkeys(NO_PROXY)
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def call(self, call: Call) -> httpx2.Response:
        """Send a request; raises `ApiError` or `Unreachable`."""
        with self._platform.failures():
            response = await self._http.request(**self._platform.request(call))
        return checked(response)

    async def upload(
        self, call: Call, file: Path, progress: Progress | None = None
    ) -> httpx2.Response:
        """Send a request whose JSON is the part `task`, and a zip as the part `file`."""
        opened = await asyncio.to_thread(Watched, file, progress)
        with self._platform.failures(), opened:
            parts = multipart(call, file.name, opened)
            response = await self._http.request(**self._platform.request(call, files=parts))
        return checked(response)

    async def send(self, form: Upload, file: Path, progress: Progress | None) -> None:
        """Send a zip to the store, without our key; raises `StoreAway`."""
        opened = await asyncio.to_thread(Watched, file, progress)
        with at_store(form), opened:
            parts = {"file": (file.name, opened, "application/zip")}
            stored(await self._http.post(form["url"], data=form["fields"], files=parts))

    @asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read a presigned link, in pieces."""
        async with self._answer(method="GET", url=url) as response:
            yield response.aiter_bytes()

    @asynccontextmanager
    async def pieces(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        """Send a request and read its answer in pieces."""
        async with self._answer(**self._platform.request(call)) as response:
            yield response.aiter_bytes()

    async def follow(self, call: Call, *, after: int) -> AsyncIterator[httpx2.ServerSentEvent]:
        """Yield server-sent events until `done`; a stream that breaks is taken up where it was."""
        place = Place(after, self._platform.url, self._patience_seconds)
        while True:
            broken = None
            try:
                async for message in self._stream(call, place):
                    if message.event == "done":
                        return
                    if message.data:  # none comes with a hint when to come again
                        place.took(message.id)
                        yield message
            except ClientError as error:
                broken = error
            await asyncio.sleep(place.pause(broken))

    async def _stream(self, call: Call, place: Place) -> AsyncIterator[httpx2.ServerSentEvent]:
        async with self._answer(**self._platform.stream(call, place.after)) as response:
            place.opened()
            async for message in httpx2.EventSource(response):
                yield message

    @asynccontextmanager
    async def _answer(self, **request: Any) -> AsyncIterator[httpx2.Response]:
        with self._platform.failures():
            async with self._http.stream(**request) as response:
                if response.is_error:
                    await response.aread()
                yield checked(response)
