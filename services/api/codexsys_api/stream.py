"""Events and logs as they come: from the store to the tail that all share, woken by hints, never by hints alone."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from codexsys_api.histories import EventHistory, LogHistory, filed, message
from codexsys_api.listening import POLL_SECONDS
from codexsys_api.tails import History, Tails
from codexsys_core.errors import Unavailable
from codexsys_core.log import LogChunk
from codexsys_core.task import Task
from codexsys_wiring.http_server import LET_GO
from codexsys_wiring.platform import Platform

PING_SECONDS = 10.0
PATIENCE_SECONDS = 30.0
"""Who takes nothing for so long is let go: one that comes back goes on, one that does not costs nothing any more."""
_GOES_ON_ELSEWHERE = b": this replica stops; go on from the last id\nretry: 1000\n\n"
_TOO_SLOW = b": nothing was taken for long; go on from the last id\nretry: 1000\n\n"


async def follow_events(
    platform: Platform, tails: Tails, task: Task, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield a task's events as server-sent ones; the last one is `done`."""
    history = EventHistory(platform, task)
    return _follow(platform, tails, history, min(after, task.seq))


async def follow_log(
    platform: Platform, tails: Tails, task: Task, stream: str, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield a log as server-sent events; `id` is the offset after each chunk."""
    history = LogHistory(platform, task, stream)
    return _follow(platform, tails, history, min(after, await platform.logs.size(task.id, stream)))


async def _follow(
    platform: Platform, tails: Tails, history: History, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield what is told until it is over."""
    async with tails.watching(history) as (tail, bell):
        quiet = _Quiet(platform)
        while not bell.closing:
            page = tail.since(after)
            if page is None:
                page = await tail.history(after)
            for told in page.told if page is not None else ():
                yield told.text
                after = told.number
            if page is not None and page.over:
                with suppress(Unavailable):  # then what is left waits, as news do
                    async for told in history.rest(after):
                        yield told.text
                        after = told.number
                    yield message({}, number=after, name="done")
                    return
            if page is not None and (page.told or page.more):
                quiet.reset()
            else:
                await bell.wait(POLL_SECONDS if page is None or page.over else PING_SECONDS)
            if quiet.too_long():
                yield b": ping\n\n"
    yield _GOES_ON_ELSEWHERE


async def read_log(
    platform: Platform, task_id: str, stream: str, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield what a log holds now, as plain text."""
    size = await platform.logs.size(task_id, stream)
    while after < size:
        chunks: list[LogChunk] = await platform.logs.read(task_id, stream, after)
        for chunk in chunks:
            yield chunk.text
            after = chunk.end
        if not chunks:
            async for chunk in filed(platform, task_id, stream, after):
                yield chunk.text
            return


class EventStream(StreamingResponse):
    """Server-sent events, which no proxy holds back, for a reader who takes them."""

    def __init__(
        self, content: AsyncGenerator[bytes, None], patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, media_type="text/event-stream", headers=headers)
        self._content = content
        self._patience = patience_seconds
        self._scope: Scope = {}

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        await super().__call__(scope, receive, send)

    @override
    async def stream_response(self, send: Send) -> None:
        """Send piece by piece; one that is not taken in time is the last."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(start)
        async for piece in self._content:
            try:
                async with asyncio.timeout(self._patience):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                await self._content.aclose()
                self._scope["extensions"][LET_GO]()
                await send({"type": "http.response.body", "body": _TOO_SLOW, "more_body": True})
                break
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def sse(content: AsyncGenerator[bytes, None]) -> StreamingResponse:
    """Send a stream."""
    return EventStream(content)


class _Quiet:
    """Knows how long nothing was sent."""

    def __init__(self, platform: Platform) -> None:
        self._clock = platform.clock
        self._since = self._clock.monotonic()

    def reset(self) -> None:
        self._since = self._clock.monotonic()

    def too_long(self) -> bool:
        if self._clock.monotonic() - self._since < PING_SECONDS:
            return False
        self.reset()
        return True
