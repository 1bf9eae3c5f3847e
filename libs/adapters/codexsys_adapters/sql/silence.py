"""Giving up in time on a database that says nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

_TICKS = 12
_PATIENCE = 8


class Silence:
    """Bounds how long a process listens to a silent database.

    Silence is what counts: as long as each of its own statements is answered, or others of this
    process come to their ends, whoever waits for a connection or a lock waits on, up to `_PATIENCE`
    times as long. It is counted in ticks: a loop that was held up by its own work, or by a busy
    machine, has not waited meanwhile.
    """

    def __init__(self, seconds: float) -> None:
        self.pause = seconds / _TICKS
        self.answers = 0
        """Counts what was done to its end: a database whose disk is full may take statements, and hold commits."""

    def broken(self) -> None:
        """Note that somebody has come to an end."""
        self.answers += 1

    @asynccontextmanager
    async def bounded(self) -> AsyncIterator[None]:
        """Raise `TimeoutError` in the block once it was silent for too long."""
        async with asyncio.timeout(None) as limit:
            watch = _Watch(self, limit)
            token = _WATCH.set(watch)
            try:
                yield
            finally:
                _WATCH.reset(token)
                watch.end()


class _Watch:
    """Ticks beside one block. Timers, not a task: every statement of a service has one."""

    def __init__(self, silence: Silence, limit: asyncio.Timeout) -> None:
        self._silence = silence
        self._limit = limit
        self._heard = silence.answers
        self._silent = self._waited = 0
        self.answered = False
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(silence.pause, self._tick)

    def end(self) -> None:
        self._timer.cancel()

    def _tick(self) -> None:
        self._waited += 1
        said = self.answered or self._heard != self._silence.answers
        self._silent = 0 if said else self._silent + 1
        self._heard, self.answered = self._silence.answers, False
        if self._silent == _TICKS or self._waited == _TICKS * _PATIENCE:
            self._limit.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_later(self._silence.pause, self._tick)


_WATCH: ContextVar[_Watch | None] = ContextVar("watch", default=None)


def answered(*_: Any) -> None:
    """Note that the statement under way here was answered; an engine's event calls it."""
    watch = _WATCH.get()
    if watch is not None:
        watch.answered = True
