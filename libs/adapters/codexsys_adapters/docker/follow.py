"""Follows one phase from outside: its output into a file of ours, and how it ended."""

import asyncio
import base64
import contextlib
import json
from typing import Any

from aiodocker.exceptions import DockerError

from codexsys_adapters.docker.engine import NOT_FOUND, Engine, log_of
from codexsys_adapters.docker.folder import Folder
from codexsys_adapters.docker.weight import Weight
from codexsys_adapters.walls.judged import judged
from codexsys_adapters.walls.spool import Spool
from codexsys_core.clock import Clock
from codexsys_core.errors import SandboxError

_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.2
_NOISE = 500


class Follower:
    """One phase, as its container's log tells of it. Ends by itself with the container."""

    def __init__(
        self, *, engine: Engine, folder: Folder, phase: str, container: str, clock: Clock
    ) -> None:
        self.started = asyncio.Event()
        self.ended = asyncio.Event()
        self.end: dict[str, Any] = {}
        self._engine = engine
        self._folder = folder
        self._phase = phase
        self._container = container
        self._weight = Weight(container, folder.setup)
        self._clock = clock
        self._spool = Spool(clock=clock, folder=folder.phases)
        self._skip = 0
        self._noise = b""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._spool.close()

    @property
    def forgotten(self) -> bool:
        """Say whether the phase is over and its sandbox is gone."""
        return self.ended.is_set() and not self._folder.exists()

    async def output(self, offset: int, limit: int, seconds: float) -> bytes:
        """Return what was said from an offset on; waits for more while the phase runs."""
        return await self._spool.read(offset, limit, seconds)

    async def _run(self) -> None:
        try:
            end = await self._outcome()
        except (ValueError, OSError) as error:  # no log of ours, or no room for it here
            end = _lost(f"the container's log cannot be read: {error}")
        noted = self._folder.end_of(self._phase)
        self.end = noted or judged(end, full=self._folder.full())
        if noted is None:
            await asyncio.to_thread(self._folder.note_end, self._phase, self.end)
        self.started.set()
        self.ended.set()
        self._spool.complete()

    async def _outcome(self) -> dict[str, Any]:
        """Return how the phase ended; patient with an engine that is away for a while."""
        silent_since: float | None = None
        while True:
            try:
                end = await self._listen()
            except SandboxError as error:
                cause = error.__cause__
                if isinstance(cause, DockerError) and cause.status == NOT_FOUND:
                    return _lost("the container is gone")
                silent_since = silent_since or self._clock.monotonic()
                if self._clock.monotonic() - silent_since > _PATIENCE_SECONDS:
                    return _lost(error.message)
            else:
                if end is not None:
                    return end
                silent_since = None
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _listen(self) -> dict[str, Any] | None:
        """Read the log from its start; None when the container still runs after its end."""
        self._skip = self._spool.size
        rest = b""
        async with self._engine.session() as docker:
            async with log_of(docker, self._container) as pieces:
                async for piece in pieces:
                    *lines, rest = (rest + piece).split(b"\n")
                    for line in lines:
                        self._hear(line)
                    await self._weight.settle(docker)
            if self.end:
                return self.end
            state = (await docker.containers.container(self._container).show())["State"]
        return None if state["Running"] or state["Status"] == "created" else self._unsaid(state)

    def _hear(self, line: bytes) -> None:
        kind, text = line[:1], line[1:]
        if kind == b"o":
            self._keep(base64.b64decode(text))
        elif kind == b"e" and text.startswith(b"{"):
            self.end = json.loads(text)
        elif line == b"s":
            self.started.set()
        elif kind == b"w":
            self._weight.hear(line)
        else:
            self._noise = (self._noise + line + b"\n")[-_NOISE:]

    def _keep(self, data: bytes) -> None:
        new = data[self._skip :]
        self._skip -= len(data) - len(new)
        self._spool.add(new)

    def _unsaid(self, state: dict[str, Any]) -> dict[str, Any]:
        """Explain a container that ended without a word."""
        if self._folder.killed(self._phase):
            return {"reason": "signalled"}
        if state["OOMKilled"]:
            return {"reason": "out_of_memory", "oom_killed": True}
        said = self._noise.decode(errors="replace").strip() or f"exit code {state['ExitCode']}"
        return _lost(f"the container ended without saying why: {said}")


def _lost(detail: str) -> dict[str, Any]:
    return {"reason": "sandbox_lost", "detail": detail}
