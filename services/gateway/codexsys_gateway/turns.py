"""Turns of a sandbox's calls: so many at once, and none before those that are over have been settled."""

import asyncio
from collections.abc import Coroutine
from typing import Any
from weakref import WeakValueDictionary

MOST_AT_ONCE = 8
"""Calls of one sandbox that a gateway makes at the same time, settling included; others wait."""

AHEAD_SECONDS = 0.001
"""What an answer's last piece has before its call is settled: the agent waits for the one alone."""

Work = Coroutine[Any, Any, None]


class Afterwards:
    """What is done for calls whose answers have gone."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Work) -> asyncio.Task[None]:
        """Do it while others go on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def quiet(self) -> None:
        """Return once nothing is left to be done."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))


class Turn:
    """One sandbox's calls."""

    def __init__(self, afterwards: Afterwards) -> None:
        self._afterwards = afterwards
        self._places = asyncio.Semaphore(MOST_AT_ONCE)
        self._settling: set[asyncio.Task[None]] = set()

    async def begin(self) -> None:
        """Wait for a place, and until what is over is settled: it would count as reserved."""
        await self._places.acquire()
        try:
            if self._settling:
                await asyncio.wait(set(self._settling))
        except BaseException:
            self._places.release()
            raise

    def give_up(self) -> None:
        """End a turn in which no call was made."""
        self._places.release()

    def end(self, settle: Work) -> None:
        """End a turn whose call is settled while its agent goes on."""
        task = self._afterwards.start(_afterwards(settle))
        self._settling.add(task)
        task.add_done_callback(self._settled)

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._settling.discard(task)
        self._places.release()


async def _afterwards(work: Work) -> None:
    await asyncio.sleep(AHEAD_SECONDS)
    await work


class Turns:
    """All sandboxes' turns at this gateway."""

    def __init__(self, afterwards: Afterwards) -> None:
        self._afterwards = afterwards
        self._of: WeakValueDictionary[str, Turn] = WeakValueDictionary()

    def of(self, sandbox_id: str) -> Turn:
        """Return a sandbox's turn."""
        turn = self._of.get(sandbox_id)
        if turn is None:
            turn = self._of[sandbox_id] = Turn(self._afterwards)
        return turn
