"""One listening connection for a whole process, shared by everyone who listens."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

SILENCE_SECONDS = 15.0
"""After so long without a word the server is asked, after as long again it counts as gone."""
JOIN_SECONDS = 2.0
BACKOFF_SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
OWN_CHANNEL = "codexsys-hub"
GONE = (RedisError, OSError, RuntimeError)
"""How the driver says that a server is away; uvloop's transports raise the last one once they are closed."""

Listener = Callable[[str | None], None]
"""Takes a payload, or None when the connection is new and something may have been missed."""

log = logging.getLogger(__name__)


class Hub:
    """Hands each message to the listeners of its channel; comes back by itself when cut off."""

    def __init__(self, *, client: Redis) -> None:
        self._client = client
        self._listeners: dict[str, list[Listener]] = {}
        self._pubsub: PubSub | None = None
        self._joined: dict[str, asyncio.Event] = {}

    def add(self, channel: str, listener: Listener) -> None:
        """Listen from the next (re)connection on, at once when the channel is already heard."""
        self._listeners.setdefault(channel, []).append(listener)
        self._joined.setdefault(channel, asyncio.Event())

    async def join(self, channel: str) -> None:
        """Return once the server has confirmed the channel; after a while also without."""
        joined = self._joined[channel]
        if joined.is_set():
            return
        with suppress(*GONE):  # run() subscribes again to everything
            async with asyncio.timeout(JOIN_SECONDS):
                if self._pubsub is not None:
                    await self._pubsub.subscribe(channel)
                await joined.wait()

    async def leave(self, channel: str, listener: Listener) -> None:
        """Take a listener away; the channel goes with its last one."""
        listeners = self._listeners[channel]
        listeners.remove(listener)
        if listeners:
            return
        del self._listeners[channel], self._joined[channel]
        if self._pubsub is not None:
            with suppress(*GONE):  # a lost connection has no channels either
                await self._pubsub.unsubscribe(channel)

    @asynccontextmanager
    async def listening(self, channel: str, listener: Listener) -> AsyncIterator[None]:
        """Listen for as long as the context lasts."""
        self.add(channel, listener)
        try:
            await self.join(channel)
            yield
        finally:
            await self.leave(channel, listener)

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        failures = 0
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    asked = {OWN_CHANNEL}
                    await pubsub.subscribe(OWN_CHANNEL)
                    while missing := set(self._listeners) - asked:  # they may grow meanwhile
                        asked |= missing
                        await pubsub.subscribe(*missing)
                    self._pubsub = pubsub
                    await self._read(pubsub)
            except GONE as error:
                failures = 0 if self._cut() else failures + 1
                log.warning("redis is away: %s", type(error).__name__)
            finally:
                self._cut()
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])

    async def _read(self, pubsub: PubSub) -> None:
        asked = False
        while True:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            _heed_cancel()
            if message is not None:
                asked = False
                self._take(message["type"], message["channel"], message["data"])
            elif asked:
                raise RedisConnectionError("no answer to a ping")
            else:
                asked = True
                await pubsub.ping()

    def _take(self, kind: str, channel: str, data: str) -> None:
        if kind == "subscribe" and channel in self._joined:
            self._joined[channel].set()
            self._hand(channel, None)
        elif kind == "message":
            self._hand(channel, data)

    def _hand(self, channel: str, payload: str | None) -> None:
        for listener in tuple(self._listeners.get(channel, ())):
            listener(payload)

    def _cut(self) -> bool:
        """Forget the connection; say whether there was one."""
        was = self._pubsub is not None
        self._pubsub = None
        for joined in self._joined.values():
            joined.clear()
        return was


def _heed_cancel() -> None:
    """Raise for a cancel that came in the same moment as a message: `asyncio.wait_for` loses it before Python 3.12."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
