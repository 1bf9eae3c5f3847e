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
        self._gathered = Gathered(events)
        super().__init__(self._gathered.pieces(), media_type="text/event-stream")

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(self.listen_for_disconnect(receive))
        leaving.add_done_callback(lambda _: self._gathered.stop())
        try:
            await self.stream_response(send)
        finally:
            leaving.cancel()
            await asyncio.shield(self._gathered.close())


class Gathered:
    """What comes, in as few pieces as can be without waiting for any of it."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        self._events = events
        self._waiting = bytearray()
        self._heard, self._room = asyncio.Event(), asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._stopped = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield them, until the events end or they are stopped."""
        if self._stopped:
            return
        self._listening = listening = asyncio.create_task(self._listen())
        listening.add_done_callback(lambda _: self._heard.set())
        while self._waiting or not listening.done():
            await self._heard.wait()
            self._heard.clear()
            if self._waiting:
                piece = bytes(self._waiting)
                self._waiting.clear()
                self._room.set()
                yield piece
        if not self._stopped:
            await listening

    def stop(self) -> None:
        """Listen no more: nobody is there to hear it."""
        self._stopped = True
        if self._listening is not None:
            self._listening.cancel()

    async def close(self) -> None:
        """End the events, also those that were never begun."""
        self.stop()
        if self._listening is not None:
            await asyncio.wait({self._listening})
        await self._events.aclose()

    async def _listen(self) -> None:
        async for each in self._events:
            self._waiting += each
            self._heard.set()
            while len(self._waiting) > MOST_WAITING_BYTES:
                self._room.clear()
                await self._room.wait()
