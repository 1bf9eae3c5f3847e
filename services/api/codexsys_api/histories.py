"""The events of a task and its logs, as server-sent events that are made once for all who read them."""

import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any

from codexsys_api.serialize import event_body
from codexsys_api.tails import Page, Told
from codexsys_core.errors import NotFound, Unavailable
from codexsys_core.event import Event, EventType
from codexsys_core.log import CHUNK_BYTES, FILES, LogChunk
from codexsys_core.task import Task
from codexsys_wiring.platform import Platform

EVENTS = 500
"""So many are read at once."""
LOG_BYTES = 256 << 10
_ENDS = frozenset(
    {
        EventType.TASK_SUCCEEDED,
        EventType.TASK_FAILED,
        EventType.TASK_CANCELLED,
        EventType.TASK_TIMED_OUT,
    }
)


def message(data: dict[str, Any], *, number: int, name: str) -> bytes:
    """Return one server-sent event."""
    return (
        f"id: {number}\nevent: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()
    )


class EventHistory:
    """The events of a task; the one that ends it is the last."""

    def __init__(self, platform: Platform, task: Task) -> None:
        self._platform = platform
        self._over_at = task.seq if task.status.terminal else None
        self.task_id = self.name = task.id

    async def read(self, after: int) -> Page | None:
        """Return a page of them."""
        try:
            events = await self._platform.events.after(self.task_id, after, limit=EVENTS)
        except Unavailable:
            return None
        more = len(events) == EVENTS
        last = events[-1].id if events else after
        ends = any(event.type in _ENDS for event in events)
        known = self._over_at is not None and last >= self._over_at
        return Page([_event(event) for event in events], more, not more and (ends or known))

    async def rest(self, _after: int, /) -> AsyncGenerator[Told, None]:
        """Yield nothing: rows of events are not taken away."""
        nothing: tuple[Told, ...] = ()
        for told in nothing:
            yield told


class LogHistory:
    """One log of a task, as far as it is in rows; it is over when the task is and all was read."""

    def __init__(self, platform: Platform, task: Task, stream: str) -> None:
        self._platform = platform
        self._task = task
        self._stream = stream
        self.task_id = task.id
        self.name = f"{task.id} {stream}"

    async def read(self, after: int) -> Page | None:
        """Return some of it."""
        try:
            chunks = await self._rows(after)
            if not chunks and not self._task.status.terminal:
                # Nothing is added once a task is over: so what is not there now never comes.
                self._task = await self._platform.tasks.get(
                    self.task_id, tenant_id=self._task.tenant_id
                )
                chunks = await self._rows(after) if self._task.status.terminal else chunks
        except Unavailable:
            return None
        more = bool(chunks) and chunks[-1].end >= after + LOG_BYTES
        return Page(
            [told_of(chunk) for chunk in chunks],
            more,
            over=self._task.status.terminal and not more and not chunks,
        )

    async def rest(self, after: int, /) -> AsyncGenerator[Told, None]:
        """Yield what has become a file by now."""
        async for chunk in filed(self._platform, self.task_id, self._stream, after):
            yield told_of(chunk)

    async def _rows(self, after: int) -> Sequence[LogChunk]:
        return await self._platform.logs.read(
            self.task_id, self._stream, after, limit_bytes=LOG_BYTES
        )


def told_of(chunk: LogChunk) -> Told:
    """Return a piece of a log as it is sent; its number is the offset after it."""
    data = {"offset": chunk.offset, "text": chunk.text.decode(errors="replace")}
    return Told(chunk.offset, chunk.end, message(data, number=chunk.end, name="log"))


async def filed(
    platform: Platform, task_id: str, stream: str, after: int
) -> AsyncGenerator[LogChunk, None]:
    """Yield what follows in the artifact that a log has become, in whole lines; its rows go before it does."""
    held, at = b"", 0
    for artifact in await platform.artifacts.of_task(task_id):
        if artifact.name != FILES[stream] or artifact.size <= after:
            continue
        with suppress(NotFound):  # removed at this moment
            async for piece in platform.objects.stream(artifact.object):
                held, at = held + piece[max(0, after - at) :], at + len(piece)
                while len(held) >= CHUNK_BYTES:
                    size = held.rfind(b"\n", 0, CHUNK_BYTES) + 1 or CHUNK_BYTES
                    yield LogChunk(offset=after, text=held[:size])
                    after, held = after + size, held[size:]
        if held:
            yield LogChunk(offset=after, text=held)


def _event(event: Event) -> Told:
    text = message(event_body(event), number=event.id, name=event.type.value)
    return Told(event.id, event.id, text)
