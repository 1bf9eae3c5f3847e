"""The backend's side: folders, who is at /app, and the phases that run."""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from codexsys_adapters.bare.phase import Phase, Plan
from codexsys_adapters.bare.seat import Seat
from codexsys_adapters.walls.owner import owner
from codexsys_adapters.walls.place import here
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import (
    Created,
    PhaseEnd,
    PhaseSpec,
    Progress,
    SandboxSpec,
    silent,
)

_UNENFORCED = ("cpus", "memory_mb", "disk_mb", "inodes")
_OUTPUT_WAIT_SECONDS, _POLL_SECONDS = 1.0, 0.02


class BareBackend:
    """Satisfies `codexsys_core.sandbox.SandboxBackend`, but for what that promises of isolation and of survival.

    One phase runs at a time in all, as in one attempt they do.
    """

    def __init__(
        self,
        root: Path,
        *,
        gateway_urls: Sequence[str],
        agent_code: Path,
        python: Path,
        wheels: Path | None = None,
    ) -> None:
        self._root = root
        self._place = here("none", str(root.resolve()))
        self._plan = Plan(tuple(gateway_urls), agent_code.resolve(), python.resolve(), wheels)
        self._seat = Seat()
        self._specs: dict[str, SandboxSpec] = {}
        self._phases: dict[tuple[str, str], Phase] = {}

    @property
    def place(self) -> str:
        """Return a name of the folder on this host since it started."""
        return self._place

    @property
    def unenforced(self) -> tuple[str, ...]:
        """Return most of them."""
        return _UNENFORCED

    async def create(
        self,
        spec: SandboxSpec,
        base: Path | None,
        *,
        progress: Progress = silent,  # noqa: ARG002 - nothing takes long
    ) -> Created:
        """Make the folders; they are its user's."""
        if spec.image is not None:
            said = "Without a sandbox there is no image."
            raise SandboxError(said, code="image_unusable")
        if spec.services:
            said = "Without a sandbox there are no services beside it."
            raise SandboxError(said, code="services_not_supported")
        if spec.id in self._specs:
            return Created()
        if base is None:
            raise SandboxError(f"nothing keeps sandbox {spec.id} here", code="sandbox_lost")
        try:
            await asyncio.to_thread(self._make, spec.id, base)
        except OSError as error:
            raise SandboxError(f"the folders could not be made: {error}") from error
        self._specs[spec.id] = spec
        return Created()

    def _make(self, sandbox_id: str, base: Path) -> None:
        user, _ = owner(sandbox_id)
        (self._root / sandbox_id).mkdir(mode=0o700, parents=True, exist_ok=True)
        folders = self._seat.make(sandbox_id, user)
        _copy(base, folders / "base.git", user)

    async def keep(self, sandbox_id: str, layer: str) -> None:  # noqa: ARG002
        """Keep nothing: there is no layer to stand on."""
        self._spec(sandbox_id)

    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        """Let the sandbox's folders take their place and start the phase's program."""
        spec = self._spec(sandbox_id)
        if (sandbox_id, phase.name) in self._phases:
            return
        user, _ = owner(sandbox_id)
        files = self._root / sandbox_id / phase.name
        started = Phase(self._plan, spec, phase, user=user, output=files.with_suffix(".out"))
        try:
            await asyncio.to_thread(self._seat.take, sandbox_id)
            await asyncio.to_thread(self._seat.lay_input, phase.files)
            await asyncio.to_thread(started.start)
        except OSError as error:
            raise SandboxError(f"phase {phase.name} could not start: {error}") from error
        self._phases[sandbox_id, phase.name] = started

    async def wait(self, sandbox_id: str, phase: str) -> PhaseEnd:
        """Return how the phase ended."""
        return await asyncio.wrap_future(self._phase(sandbox_id, phase).end)

    async def output(
        self, sandbox_id: str, phase: str, offset: int, *, limit: int = 65_536
    ) -> bytes:
        """Return captured output, waiting up to a second for more while the phase runs."""
        running = self._phase(sandbox_id, phase)
        for _ in range(int(_OUTPUT_WAIT_SECONDS / _POLL_SECONDS)):
            over = running.end.done()
            data = running.said(offset, limit)
            if data or over:
                return data
            await asyncio.sleep(_POLL_SECONDS)
        return b""

    async def signal(self, sandbox_id: str, *, kill: bool = False) -> None:
        """Stop or kill the running phase."""
        self._spec(sandbox_id)
        for (of, _), phase in list(self._phases.items()):
            if of == sandbox_id:
                phase.ask("kill" if kill else "stop")

    async def list(self) -> list[str]:
        """Return those that were made."""
        return sorted(self._specs)

    async def destroy(self, sandbox_id: str) -> None:
        """Kill what runs, and remove every folder."""
        if self._specs.pop(sandbox_id, None) is None:
            return
        for key in [key for key in self._phases if key[0] == sandbox_id]:
            phase = self._phases.pop(key)
            phase.ask("kill")
            with contextlib.suppress(Exception):
                await asyncio.wrap_future(phase.end)
        await asyncio.to_thread(self._seat.clear, sandbox_id, last=not self._specs)
        await asyncio.to_thread(shutil.rmtree, self._root / sandbox_id, ignore_errors=True)

    def _spec(self, sandbox_id: str) -> SandboxSpec:
        if sandbox_id not in self._specs:
            raise SandboxError(f"sandbox {sandbox_id} is not here", code="sandbox_lost")
        return self._specs[sandbox_id]

    def _phase(self, sandbox_id: str, phase: str) -> Phase:
        self._spec(sandbox_id)
        found = self._phases.get((sandbox_id, phase))
        if found is None:
            raise SandboxError(f"phase {phase} was not started", code="sandbox_lost")
        return found


def _copy(source: Path, target: Path, user: int) -> None:
    """Copy folders and files that are our own, perhaps to another file system, and make them the user's."""
    shutil.copytree(source, target)
    for place, folders, files in os.walk(target):
        for name in (".", *folders, *files):
            os.chown(Path(place) / name, user, user)


def problem() -> str:
    """Return why tasks cannot be run without a sandbox here; empty when they can."""
    if os.geteuid() != 0:
        return "only root can let the agent be another user (docker run --user 0:0)"
    return Seat().problem()
