"""Server-sent events: what is there at the same moment goes out as one piece."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

MOST_WAITING_BYTES = 256 * 1024
"""Of one stream, when its reader is slower than the model."""

compact = json.JSONEncoder(separators=(",", ":")).encode
"""Made once: an encoder that is made for each event takes longer than encoding it."""


def event(data: dict[str, Any]) -> bytes:
    """Return one server-sent event."""
    return b"data: " + compact(data).encode() + b"\n\n"


def answer(data: dict[str, Any]) -> Response:
    """Return a whole answer; what a model said may have half characters in it, as JSON may."""
    return Response(compact(data), media_type="application/json")


class Events(StreamingResponse):
    """Server-sent events that are closed with their response, however that ends."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        self._events = events
        self._pieces = gathered(events)
        super().__init__(self._pieces, media_type="text/event-stream")

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await asyncio.shield(self._closed())

    async def _closed(self) -> None:
        await self._pieces.aclose()  # which may never have begun
        await self._events.aclose()


async def gathered(events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield what comes, in as few pieces as can be without waiting for any of it."""
    waiting, heard, room = bytearray(), asyncio.Event(), asyncio.Event()

    async def listen() -> None:
        async for each in events:
            waiting.extend(each)
            heard.set()
            while len(waiting) > MOST_WAITING_BYTES:
                room.clear()
                await room.wait()

    listening = asyncio.create_task(listen())
    listening.add_done_callback(lambda _: heard.set())
    try:
        while waiting or not listening.done():
            await heard.wait()
            heard.clear()
            if waiting:
                piece = bytes(waiting)
                waiting.clear()
                room.set()
                yield piece
        await listening
    finally:
        listening.cancel()
        await asyncio.wait({listening})
