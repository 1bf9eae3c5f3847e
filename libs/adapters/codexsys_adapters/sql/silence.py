"""Giving up in time on a database that says nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

_TICKS = 12
_PATIENCE = 8


class Silence:
    """Bounds how long a process listens to a silent database.

    Silence is what counts: as long as the database answers others of this process, whoever waits
    for a connection or a lock waits on, up to `_PATIENCE` times as long. It is counted in ticks: a
    loop that was held up by its own work, or by a busy machine, has not waited meanwhile.
    """

    def __init__(self, seconds: float) -> None:
        self.pause = seconds / _TICKS
        self.answers = 0
        """Counts what the database said to anybody here."""

    def broken(self, *_: object) -> None:
        """Note that the database said something."""
        self.answers += 1

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Raise `TimeoutError` in the block once it was silent for too long."""
        async with asyncio.timeout(None) as limit:
            watch = _Watch(self, limit)
            try:
                yield
            finally:
                watch.end()


class _Watch:
    """Ticks beside one block. Timers, not a task: every statement of a service has one."""

    def __init__(self, silence: Silence, limit: asyncio.Timeout) -> None:
        self._silence = silence
        self._limit = limit
        self._heard = silence.answers
        self._silent = self._waited = 0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(silence.pause, self._tick)

    def end(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        self._waited += 1
        self._silent = self._silent + 1 if self._heard == self._silence.answers else 0
        self._heard = self._silence.answers
        if self._silent == _TICKS or self._waited == _TICKS * _PATIENCE:
            self._limit.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_later(self._silence.pause, self._tick)
