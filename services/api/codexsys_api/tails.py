"""What happens in tasks, and what their logs say, read once for all who follow: the newest of each, while somebody does."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from codexsys_api.context import Streams
from codexsys_api.listening import Bell, hearing, listening
from codexsys_wiring.platform import Platform

KEPT_BYTES = 256 << 10
"""So much of each; who is further behind reads the store."""


class Told(NamedTuple):
    """One message as it is sent to all; `start` is the number that it follows, `number` the one after it."""

    start: int
    number: int
    text: bytes


class Page(NamedTuple):
    """What comes after a number: `more` is in the store already, or it is `over` and nothing ever comes."""

    told: Sequence[Told]
    more: bool = False
    over: bool = False


class History(Protocol):
    """All that was ever told, in the store."""

    @property
    def name(self) -> str:
        """What it is of: no other has this name."""

    @property
    def task_id(self) -> str:
        """Whose hints say that there is more."""

    async def read(self, after: int) -> Page | None:
        """Return what comes after a number; None while the store is away."""

    def rest(self, after: int, /) -> AsyncIterator[Told]:
        """Yield what is left once it is over, and kept elsewhere; raises `Unavailable`."""


class Tail:
    """The end of a history, as long as somebody watches it."""

    def __init__(self, platform: Platform, streams: Streams, history: History) -> None:
        self._platform = platform
        self._history = history
        self._kept: deque[Told] = deque()
        self._size = 0
        self._after: int | None = None
        """All that came after this number is kept."""
        self._last = 0
        self._over = False
        self._begun = asyncio.Event()
        self._watching: set[Bell] = set()
        self._reading = asyncio.create_task(self._read_on(streams))

    def since(self, after: int) -> Page | None:
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
        if found and found[0].start < after:
            return None  # from the middle of what was told in one piece
        return Page(found, over=self._over)

    async def history(self, after: int) -> Page | None:
        """Read what comes after a number from the store; the tail begins at its end. None while the store is away."""
        page = await self._history.read(after)
        if page is not None and not page.more and self._after is None:
            self._after = self._last = page.told[-1].number if page.told else after
            self._over = page.over
            self._begun.set()
        return page

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
        """Read what comes until it is over or everything closes; nobody waits any more when it ends."""
        try:
            async with listening(self._platform, streams, self._history.task_id) as bell:
                await self._begun.wait()
                while not bell.closing and not self._over:
                    page = await self._history.read(self._last)
                    if page is not None:
                        self._take(page)
                    if page is None or not page.more:
                        await bell.wait()
        finally:
            self._ring()

    def _take(self, page: Page) -> None:
        self._over = page.over
        for told in page.told:
            self._kept.append(told)
            self._size += len(told.text)
            self._last = told.number
        while self._size > KEPT_BYTES and len(self._kept) > 1:
            oldest = self._kept.popleft()
            self._size -= len(oldest.text)
            self._after = oldest.number
        if page.told or page.over:
            self._ring()

    def _ring(self) -> None:
        for bell in self._watching:
            bell.rung.set()


class Tails:
    """All tails that are watched through this process."""

    def __init__(self, platform: Platform, streams: Streams) -> None:
        self._platform = platform
        self._streams = streams
        self._tails: dict[str, Tail] = {}

    @asynccontextmanager
    async def watching(self, history: History) -> AsyncIterator[tuple[Tail, Bell]]:
        """Give the tail of a history, and a bell that rings when there is more of it."""
        tail = self._tails.get(history.name)
        if tail is None:
            tail = self._tails[history.name] = Tail(self._platform, self._streams, history)
        async with hearing(self._streams) as bell:
            tail.join(bell)
            try:
                yield tail, bell
            finally:
                if tail.leave(bell):
                    del self._tails[history.name]
                    await tail.close()
