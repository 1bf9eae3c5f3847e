"""Events and logs as they come: from the store to its tail, woken by hints, never by hints alone."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress
from typing import TypeVar

from starlette.responses import StreamingResponse

from codexsys_api.context import Streams
from codexsys_api.listening import POLL_SECONDS, listening
from codexsys_api.tails import PAGE, Tails, message
from codexsys_core.errors import NotFound, Unavailable
from codexsys_core.log import FILES, LogChunk
from codexsys_core.task import Task
from codexsys_wiring.platform import Platform

Found = TypeVar("Found")
PING_SECONDS = 10.0
_GOES_ON_ELSEWHERE = b": this replica stops; go on from the last id\nretry: 1000\n\n"


async def follow_events(
    platform: Platform, tails: Tails, task: Task, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield a task's events as server-sent ones; the last one is `done`."""
    over = task.status.terminal
    async with tails.watching(task.id) as (tail, bell):
        quiet = _Quiet(platform)
        while not bell.closing:
            told = tail.since(after)
            if told is None:
                told = await tail.history(after)
            for each in told or ():
                yield each.text
                after, over = each.number, over or each.ends
            if over and told is not None and len(told) < PAGE:
                yield _done(after)
                return
            if told:
                quiet.reset()
            else:
                await bell.wait(PING_SECONDS if told is not None else POLL_SECONDS)
            if quiet.too_long():
                yield b": ping\n\n"
    yield _GOES_ON_ELSEWHERE


async def follow_log(
    platform: Platform, streams: Streams, task: Task, stream: str, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield a log as server-sent events; `id` is the offset after each chunk."""
    async with listening(platform, streams, task.id) as bell:
        quiet = _Quiet(platform)
        while not bell.closing:
            if not task.status.terminal:
                task = await _found(platform.tasks.get(task.id, tenant_id=task.tenant_id)) or task
            chunks = await _found(_text(platform, task, stream, after))
            for chunk in chunks or ():
                data = {"offset": chunk.offset, "text": chunk.text.decode(errors="replace")}
                yield message(data, number=chunk.end, name="log")
                after = chunk.end
            if chunks:
                quiet.reset()
                continue
            if task.status.terminal and chunks is not None:
                yield _done(after)
                return
            await bell.wait()
            if quiet.too_long():
                yield b": ping\n\n"
    yield _GOES_ON_ELSEWHERE


async def _found(asked: Awaitable[Found]) -> Found | None:
    """Return what was asked for; None while a part is away: who follows waits, as for news."""
    try:
        return await asked
    except Unavailable:
        return None


async def _text(platform: Platform, task: Task, stream: str, after: int) -> list[LogChunk]:
    """Return what follows in a log, from its rows or from what they have become."""
    chunks = await platform.logs.read(task.id, stream, after)
    if not chunks and task.status.terminal:
        chunks = await _filed(platform, task.id, stream, after)
    return chunks


async def read_log(
    platform: Platform, task_id: str, stream: str, after: int
) -> AsyncGenerator[bytes, None]:
    """Yield what a log holds now, as plain text."""
    size = await platform.logs.size(task_id, stream)
    while after < size:
        chunks = await platform.logs.read(task_id, stream, after)
        chunks = chunks or await _filed(platform, task_id, stream, after)
        if not chunks:
            return
        for chunk in chunks:
            yield chunk.text
            after = chunk.end


async def _filed(platform: Platform, task_id: str, stream: str, after: int) -> list[LogChunk]:
    """Return what follows in the artifact that the log has become; its rows go before it does."""
    for artifact in await platform.artifacts.of_task(task_id):
        if artifact.name == FILES[stream] and artifact.size > after:
            with suppress(NotFound):  # removed at this moment
                text = (await platform.objects.get(artifact.object))[after:]
                return [LogChunk(offset=after, text=text)]
    return []


def sse(content: AsyncGenerator[bytes, None]) -> StreamingResponse:
    """Send a stream that no proxy holds back."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(content, media_type="text/event-stream", headers=headers)


def _done(after: int) -> bytes:
    return message({}, number=after, name="done")


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
