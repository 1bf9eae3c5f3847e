"""Follows one phase from outside: what the keeper says of it, and what becomes of its pod."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from codexsys_adapters.kubernetes import states
from codexsys_adapters.kubernetes.cluster import Exec, Refusal
from codexsys_adapters.kubernetes.patience import AWAY_SECONDS
from codexsys_adapters.kubernetes.pods import Pods
from codexsys_adapters.kubernetes.site import Object
from codexsys_adapters.walls.judged import judged
from codexsys_adapters.walls.spool import Spool
from codexsys_core.clock import Clock
from codexsys_core.errors import SandboxError

_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 5.0
_WORDS_SECONDS = 10.0

Ask = Callable[[str], AbstractAsyncContextManager[Exec]]
"""Opens a line to a sandbox's keeper."""


class Unknown(Exception):
    """The keeper knows no such phase."""


class Follower:
    """One phase; ends by itself with it."""

    def __init__(
        self,
        *,
        sandbox_id: str,
        phase: str,
        begin: bytes | None,
        ask: Ask,
        pods: Pods,
        clock: Clock,
    ) -> None:
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.end: dict[str, Any] = {}
        self.unknown = False
        self._sandbox_id = sandbox_id
        self._phase = phase
        self._begin = begin
        self._ask = ask
        self._pods = pods
        self._clock = clock
        self._spool = Spool(clock=clock)
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._spool.close()

    async def output(self, offset: int, limit: int, seconds: float) -> bytes:
        """Return what was said from an offset on; waits for more while the phase runs."""
        return await self._spool.read(offset, limit, seconds)

    async def _run(self) -> None:
        try:
            end = await self._first(self._heard(), self._gone())
            end = await self._explained(end)
            self.end = judged(end, full=bool(end.pop("full", False)))
        except (ValueError, OSError) as error:  # not what a keeper says, or no room for it here
            self.end = {"reason": "sandbox_lost", "detail": f"the keeper cannot be heard: {error}"}
        except Unknown:
            self.unknown = True
        self.started.set()
        self.ended.set()
        self._spool.complete()

    async def _first(self, *works: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """Return the first end that somebody knows of."""
        tasks = [asyncio.ensure_future(work) for work in works]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in tasks if task.done()).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _explained(self, end: dict[str, Any]) -> dict[str, Any]:
        """Return why a stage ended that should not have, where the cluster says so in time.

        Some kernels kill all of a container for memory, and the keeper sees only that it is gone. One that is
        evicted is stopped first, and the cluster says why later.
        """

        def said(pod: Object | None) -> dict[str, Any] | None:
            found = states.memory_of(pod) or states.end_of(pod)
            return found if found and found["detail"] != states.WORDLESS else None

        if end.get("reason") != "sandbox_lost":
            return end
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_WORDS_SECONDS):
                return await self._pods.until(self._sandbox_id, said)
        return end

    async def _gone(self) -> dict[str, Any]:
        """Return why there can be no end but that of the pod, or of what it waits for in vain."""

        def over(pod: Object | None) -> dict[str, Any] | None:
            waits = not self.started.is_set()
            return states.end_of(pod) or (states.missing_of(pod) if waits else None)

        return await self._pods.until(self._sandbox_id, over)

    async def _heard(self) -> dict[str, Any]:
        """Return how the phase ended; patient with a cluster that is away for a while."""
        silent_since: float | None = None
        pause = _PAUSE_SECONDS
        while True:
            before = self._spool.size
            try:
                end = await self._listen()
                why = "the keeper stopped speaking"
            except (Refusal, SandboxError) as error:
                end, why = None, error.message
            if end is not None:
                return end
            if self._spool.size > before or silent_since is None:
                silent_since, pause = self._clock.monotonic(), _PAUSE_SECONDS
            if self._clock.monotonic() - silent_since > AWAY_SECONDS:
                return {"reason": "sandbox_lost", "detail": why}
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _listen(self) -> dict[str, Any] | None:
        """Ask the keeper; None when it stopped speaking."""
        asked = {"do": "follow", "name": self._phase, "offset": self._spool.size}
        begin = self._begin if self._begin and not self._spool.size else json.dumps(asked).encode()
        async with self._ask(self._sandbox_id) as line:
            await line.send(begin + b"\n")
            return await self._take(line.lines())

    async def _take(self, lines: AsyncIterator[bytes]) -> dict[str, Any] | None:
        async for line in lines:
            kind, text = line[:1], line[1:]
            if kind == b"o":
                self._spool.add(base64.b64decode(text))
            elif kind == b"s":
                self.started.set()
            elif kind == b"e":
                end: dict[str, Any] = json.loads(text)
                return end
            elif kind == b"x":
                raise Unknown
        return None
