"""Listens for what the platform has to say while the agent works."""

import threading
from typing import Any

from codexsys_agent.door import Door
from codexsys_agent.errors import DoorError, DoorRefused, Stopped
from codexsys_agent.report import say
from codexsys_agent.session import Note
from codexsys_agent.stop import Stop

_PAUSE_SECONDS = 5.0


class Control:
    """Long-polls the door; a cancel or a dead token stops the run, notes wait in the inbox."""

    def __init__(self, door: Door, stop: Stop, *, wait: int = 25) -> None:
        self._door = door
        self._stop = stop
        self._wait = wait
        self._lock = threading.Lock()
        self._notes: list[Note] = []
        self._thread = threading.Thread(target=self._listen, name="control", daemon=True)

    def start(self) -> None:
        """Listen in a thread that ends with the process."""
        self._thread.start()

    def close(self) -> None:
        """Wait for the thread; the stop must have been requested."""
        self._thread.join(_PAUSE_SECONDS)

    def take_notes(self) -> list[Note]:
        """The notes that came since the last call."""
        with self._lock:
            notes, self._notes = self._notes, []
        return notes

    def _listen(self) -> None:
        after = 0
        while not self._stop.requested:
            try:
                after = self._poll(after)
            except DoorRefused as error:
                self._stop.request(f"the platform ended this sandbox: {error}")
            except Stopped:
                return
            except (DoorError, TypeError, ValueError, AttributeError) as error:
                say(f"control: {error}")
                self._stop.wait(_PAUSE_SECONDS)

    def _poll(self, after: int) -> int:
        path = f"/v1/control?after={after}&wait={self._wait}"
        answer = self._door.call("GET", path, timeout=self._wait + 30) or {}
        items = answer.get("items") or []
        for item in items:
            self._handle(str(item.get("type")), item.get("data") or {})
        if not items and self._wait == 0:
            self._stop.wait(_PAUSE_SECONDS)
        return int(answer.get("next", after))

    def _handle(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "cancel":
            self._stop.request("the task was cancelled")
        elif kind in ("note", "message"):
            note = Note(str(data.get("text") or data), message=str(data.get("message") or ""))
            with self._lock:
                self._notes.append(note)
