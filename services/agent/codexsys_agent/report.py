"""What the run tells while it works: short lines on stdout, and numbered events."""

import queue
import sys
import threading
from contextlib import suppress
from typing import Any

from codexsys_agent.door import Door
from codexsys_agent.errors import AgentError


def say(line: str) -> None:
    """One line of agent.log."""
    show((line.rstrip("\n") + "\n").encode("utf-8", "replace"))


def show(data: bytes) -> None:
    """Pass bytes on to agent.log."""
    with suppress(OSError):  # nobody reads any more: no reason to end the run
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


class Events:
    """Posts events in order from a thread of its own; a lost one never harms the run."""

    def __init__(self, door: Door, *, close_seconds: float, first_number: int = 1) -> None:
        self._first_number = first_number
        self._close_seconds = close_seconds
        self._given_up = False
        self._door = door
        self._queue: queue.Queue[tuple[str, dict[str, Any]] | None] = queue.Queue(maxsize=5000)
        self._thread = threading.Thread(target=self._post_all, name="events", daemon=True)
        self._thread.start()

    def add(self, kind: str, **data: object) -> None:
        """Queue one event; dropped when thousands wait already."""
        try:
            self._queue.put_nowait((kind, data))
        except queue.Full:
            say("events: too many wait, one was dropped")

    def close(self) -> None:
        """Give what waits a few seconds to get out."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(self._close_seconds)
        self._given_up = True

    def _post_all(self) -> None:
        number = self._first_number - 1
        while (item := self._queue.get()) and not self._given_up:
            number += 1
            kind, data = item
            payload = {"number": number, "type": kind, "data": data}
            try:
                self._door.call("POST", "/v1/events", payload, heeds_stop=False)
            except AgentError as error:
                say(f"events: {kind} was not delivered: {error}")
