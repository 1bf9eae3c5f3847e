"""Tells a webhook of a task's states: signed, in order, each in five tries, and nothing waits for it but the end."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from codexsys_cli.foreground.states import State
from codexsys_cli.output import say
from codexsys_core.clock import Clock
from codexsys_core.ids import Ids
from codexsys_core.webhook import Answer, Webhooks, headers_of

PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries: one try more than pauses."""


class Teller(Protocol):
    """Whoever is told of states."""

    sent: int
    lost: int

    def tell(self, state: State) -> None:
        """Take a state; returns at once."""


class Nobody:
    """There is no webhook."""

    sent = 0
    lost = 0

    def tell(self, state: State) -> None:
        """Say nothing."""


class Hook:
    """One receiver, while it is entered; to leave is to wait for what is still to be sent.

    A receiver that did not take a state in all tries is told next of the newest one: so however long
    it is away, the end waits for two states at most.
    """

    def __init__(
        self,
        *,
        url: str,
        secret: str,
        task_id: str,
        webhooks: Webhooks,
        ids: Ids,
        clock: Clock,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._url = url
        self._secret = secret
        self._task_id = task_id
        self._webhooks = webhooks
        self._ids = ids
        self._clock = clock
        self._pauses = pauses
        self._waiting: asyncio.Queue[State | None] = asyncio.Queue()
        self._gone = False
        self.sent = 0
        self.lost = 0

    async def __aenter__(self) -> Self:
        """Begin to send."""
        self._sending = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Send what waits, unless we are to end at once."""
        self._waiting.put_nowait(None)
        if kind is not None and not issubclass(kind, Exception):
            self._sending.cancel()
        with suppress(asyncio.CancelledError):
            await self._sending

    def tell(self, state: State) -> None:
        """Put it behind those that wait."""
        self._waiting.put_nowait(state)

    async def _send_all(self) -> None:
        while (state := await self._waiting.get()) is not None:
            if self._gone or not await self._delivered(state):
                self.lost += 1
                self._skip_to_newest()
            else:
                self.sent += 1

    async def _delivered(self, state: State) -> bool:
        body = json.dumps(state.body(self._task_id), ensure_ascii=False).encode()
        message_id = self._ids.new("msg")  # the same in each try: a receiver may know it already
        answer = Answer(0)
        for pause in (*self._pauses, None):
            headers = headers_of(
                self._secret,
                message_id=message_id,
                at=int(self._clock.now().timestamp()),
                body=body,
            )
            answer = await self._webhooks.post(self._url, body, headers)
            if answer.taken:
                return True
            if answer.gone or pause is None:
                break
            await asyncio.sleep(pause)
        self._gone = answer.gone
        said = f"HTTP {answer.status}" if answer.status else answer.problem
        say(f"codexsys: the webhook did not take the state {state.phase or state.status}: {said}")
        return False

    def _skip_to_newest(self) -> None:
        """Leave out what waits, but for the last state and the word that it is the last."""
        waiting: list[State | None] = []
        while not self._waiting.empty():
            waiting.append(self._waiting.get_nowait())
        states = [state for state in waiting if state is not None]
        self.lost += max(0, len(states) - 1)
        for state in states[-1:]:
            self._waiting.put_nowait(state)
        if None in waiting:
            self._waiting.put_nowait(None)
