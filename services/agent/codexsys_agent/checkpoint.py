"""Keeps what was done safe while work goes on; nothing here can break the run."""

import base64
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from codexsys_agent.changes import changes
from codexsys_agent.door import Door
from codexsys_agent.errors import AgentError
from codexsys_agent.private_git import GitFailed
from codexsys_agent.report import say
from codexsys_agent.worktree import Taken, Worktree

_EVERY_STEPS = 10
# base64 in JSON makes a third more of it; the door takes 64 MiB.
_LARGEST_PATCH = 44 << 20
_NOTHING = Taken("", b"", [], {})


class Checkpoints:
    """Sends patch and state from a thread of its own, when due and at the end."""

    def __init__(
        self,
        *,
        door: Door,
        worktree: Callable[[], Worktree] | None,
        every_seconds: float,
        close_seconds: float,
        first_number: int = 1,
    ) -> None:
        self._close_seconds = close_seconds
        self._door = door
        self._make_worktree = worktree
        self._worktree: Worktree | None = None
        self._every = max(0.05, every_seconds)
        self._made_by_setup: set[tuple[str, str | None, str | None]] = set()
        self._wake = threading.Condition()
        self._looking = threading.Lock()
        """Held while the worktree is read: it remembers what it has read."""
        self._step = 0
        self._state: dict[str, Any] = {}
        self._closing = False
        self._number = first_number - 1
        self._last: tuple[int, bytes] | None = None
        self._thread = threading.Thread(target=self._work, name="checkpoints", daemon=True)

    def start(
        self,
        earlier: dict[str, Any] | None,
        made_by_setup: Collection[tuple[str, str | None, str | None]] | None = None,
    ) -> None:
        """Look at the tree before the engine does; unless told, what differs already is setup's.

        On a resume the platform has applied the earlier patch: its paths are not setup's.
        """
        mine = set((earlier or {}).get("changed") or [])
        try:
            if self._make_worktree:
                self._worktree = self._make_worktree()
                if made_by_setup is None:
                    found = changes(self._worktree.base, self._worktree.scan().entries)
                    made_by_setup = {c.key for c in found if c.path not in mine}
                self._made_by_setup = set(made_by_setup)
        except (GitFailed, OSError) as error:
            self._worktree = None
            say(f"checkpoint: none will be made: {error}")
            return
        self._thread.start()

    def offer(self, step: int, state: dict[str, Any]) -> None:
        """The state after a step; it must not change afterwards."""
        with self._wake:
            self._step, self._state = step, state
            self._wake.notify()

    def change(self) -> Taken | None:
        """The workspace as it is now; None when it cannot be told."""
        try:
            with self._looking:
                return self._worktree.take(self._made_by_setup) if self._worktree else None
        except (GitFailed, OSError, ValueError) as error:
            say(f"change: not told: {error}")
            return None

    def close(self) -> None:
        """Make the last one, in bounded time."""
        if not self._thread.is_alive():
            return
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(2 * self._close_seconds)

    def _work(self) -> None:
        while self._wait_until_due():
            self._take(patience=None)
        self._take(patience=self._close_seconds)

    def _wait_until_due(self) -> bool:
        deadline = time.monotonic() + self._every
        first = self._step
        with self._wake:
            self._wake.wait_for(
                lambda: self._closing or self._step - first >= _EVERY_STEPS,
                timeout=max(0.0, deadline - time.monotonic()),
            )
            return not self._closing

    def _take(self, *, patience: float | None) -> None:
        with self._wake:
            step, state = self._step, self._state
        try:
            with self._looking:
                taken = self._worktree.take(self._made_by_setup) if self._worktree else _NOTHING
            patch = taken.patch
            if len(patch) > _LARGEST_PATCH:
                say(f"checkpoint: left out, the patch has {len(patch)} bytes")
            elif (step, patch) != self._last:
                self._send(step, state, taken, patience)
                self._last = (step, patch)
        except (AgentError, GitFailed, OSError, ValueError) as error:
            say(f"checkpoint: not made: {error}")

    def _send(self, step: int, state: dict[str, Any], taken: Taken, patience: float | None) -> None:
        payload = {
            "number": self._number + 1,
            "step": step,
            "patch": base64.b64encode(taken.patch).decode("ascii"),
            "state": {**state, "changed": [change.path for change in taken.changed]},
        }
        self._door.call("PUT", "/v1/checkpoint", payload, patience=patience, heeds_stop=False)
        self._number += 1
