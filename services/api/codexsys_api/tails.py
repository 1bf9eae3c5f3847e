"""What happens in tasks, read once for all who watch: the newest events of each, kept while somebody does."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self

from codexsys_api.context import Streams
from codexsys_api.listening import Bell, hearing, listening
from codexsys_api.serialize import event_body
from codexsys_core.errors import Unavailable
from codexsys_core.event import Event, EventType
from codexsys_wiring.platform import Platform

PAGE = 500
KEPT = 500
"""So many events a task; who is further behind reads the store."""
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


class Told(NamedTuple):
    """An event as it is sent; `ends` says that nothing comes after it."""

    number: int
    ends: bool
    text: bytes

    @classmethod
    def of(cls, event: Event) -> Self:
        """Make it of an event."""
        text = message(event_body(event), number=event.id, name=event.type.value)
        return cls(event.id, event.type in _ENDS, text)


class Tail:
    """The end of a task's history, as long as somebody watches it."""

    def __init__(self, platform: Platform, streams: Streams, task_id: str) -> None:
        self._platform = platform
        self._task_id = task_id
        self._kept: deque[Told] = deque()
        self._after: int | None = None
        """All that came after this number is kept."""
        self._last = 0
        self._begun = asyncio.Event()
        self._watching: set[Bell] = set()
        self._reading = asyncio.create_task(self._read_on(streams))

    def since(self, after: int) -> Sequence[Told] | None:
        """Return what has come after a number; None where only the store knows."""
        if self._reading.done():
            self._reading.result()  # raises what ended it
        if self._after is None or after < self._after:
            return None
        found: deque[Told] = deque()
        for told in reversed(self._kept):
            if told.number <= after:
                break
            found.appendleft(told)
        return found

    async def history(self, after: int) -> Sequence[Told] | None:
        """Read what comes after a number from the store, the tail begins at its end; None while the store is away."""
        events = await self._read(after)
        if events is None:
            return None
        if len(events) < PAGE and self._after is None:
            self._after = self._last = events[-1].id if events else after
            self._begun.set()
        return [Told.of(event) for event in events]

    def join(self, bell: Bell) -> None:
        """Ring this bell when there is more."""
        self._watching.add(bell)

    def leave(self, bell: Bell) -> bool:
        """Ring it no more; say whether nobody watches now."""
        self._watching.discard(bell)
        return not self._watching

    async def close(self) -> None:
        """Read no more."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read_on(self, streams: Streams) -> None:
        """Read what comes until everything closes; nobody waits any more when it ends."""
        try:
            async with listening(self._platform, streams, self._task_id) as bell:
                await self._begun.wait()
                while not bell.closing:
                    events = await self._read(self._last)
                    if events:
                        self._take(events)
                    if not events or len(events) < PAGE:
                        await bell.wait()
        finally:
            self._ring()

    def _take(self, events: Sequence[Event]) -> None:
        self._kept.extend(Told.of(event) for event in events)
        self._last = self._kept[-1].number
        while len(self._kept) > KEPT:
            self._after = self._kept.popleft().number
        self._ring()

    def _ring(self) -> None:
        for bell in self._watching:
            bell.rung.set()

    async def _read(self, after: int) -> list[Event] | None:
        try:
            return await self._platform.events.after(self._task_id, after, limit=PAGE)
        except Unavailable:  # who follows waits, as for news
            return None


class Tails:
    """The tails of all tasks that are watched through this process."""

    def __init__(self, platform: Platform, streams: Streams) -> None:
        self._platform = platform
        self._streams = streams
        self._tails: dict[str, Tail] = {}

    @asynccontextmanager
    async def watching(self, task_id: str) -> AsyncIterator[tuple[Tail, Bell]]:
        """Give a task's tail, and a bell that rings when there is more of it."""
        tail = self._tails.get(task_id)
        if tail is None:
            tail = self._tails[task_id] = Tail(self._platform, self._streams, task_id)
        async with hearing(self._streams) as bell:
            tail.join(bell)
            try:
                yield tail, bell
            finally:
                if tail.leave(bell):
                    del self._tails[task_id]
                    await tail.close()
