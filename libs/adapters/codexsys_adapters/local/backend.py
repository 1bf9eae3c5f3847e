"""The worker's side of local sandboxes: folders, supervisors, and asking them."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from codexsys_adapters.disks.image import problem as disk_problem
from codexsys_adapters.local import etc, limits
from codexsys_adapters.local import folder as folders
from codexsys_adapters.local.folder import Folder
from codexsys_adapters.local.supervisors import Supervisors
from codexsys_adapters.walls.owner import owner
from codexsys_adapters.walls.place import here
from codexsys_core.clock import Clock, SystemClock
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import Created, PhaseEnd, PhaseSpec, Progress, SandboxSpec, silent

LAYER_BYTES = 20 << 30
_DISK_LIMITS = ("disk_mb", "inodes")
_GROUP_LIMITS = ("cpus", "memory_mb", "pids")
_SHORTEST_POLL_SECONDS = 0.001
_LONGEST_POLL_SECONDS = 0.02
_OUTPUT_WAIT_SECONDS = 1.0


class LocalBackend:
    """Sandboxes of this machine, each a folder under `root` with a supervisor that keeps it."""

    def __init__(
        self,
        root: Path,
        *,
        gateway_urls: Sequence[str],
        agent_code: Path,
        python: Path | None = None,
        wheels: Path | None = None,
        deny_addresses: Sequence[str] = (),
        setup_allow: Sequence[str] = (),
        layer_bytes: int = LAYER_BYTES,
        clock: Clock | None = None,
    ) -> None:
        self._root = root
        self._supervisors = Supervisors()
        self._clock = clock or SystemClock()
        self._place = here("local", str(root.resolve()))
        self._shared = root.parent.resolve()
        self._setup: dict[str, Any] = {
            "root": os.geteuid() == 0,
            "gateways": list(gateway_urls),
            "agent": str(agent_code.resolve()),
            "python": str((python or Path(sys.base_prefix)).resolve()),
            "wheels": str(wheels.resolve()) if wheels else None,
            "deny": list(deny_addresses),
            "allow": list(setup_allow),
            "layers": str(self._shared / "layers"),
            "blanks": str(self._shared / "blanks"),
            "etc": str(self._shared / "etc"),
            "layer_bytes": layer_bytes,
        }

    @property
    def place(self) -> str:
        """Return a name of the folder on this host since it started."""
        return self._place

    @property
    def unenforced(self) -> tuple[str, ...]:
        """Return the limits that this host does not let us hold."""
        return (*(() if self._disk else _DISK_LIMITS), *(() if self._grouped else _GROUP_LIMITS))

    @cached_property
    def _disk(self) -> bool:
        return not disk_problem(self._shared / "blanks")

    @cached_property
    def _grouped(self) -> bool:
        return limits.grouped()

    async def create(
        self,
        spec: SandboxSpec,
        base: Path | None,
        *,
        progress: Progress = silent,  # noqa: ARG002 - nothing takes long
    ) -> Created:
        """Make the folder and start its supervisor; again is no error."""
        _refuse_foreign(spec)
        return await asyncio.to_thread(self._create, spec, base)

    def _create(self, spec: SandboxSpec, base: Path | None) -> Created:
        where = self._at(spec.id)
        if not where.supervised():
            if base is None:
                raise SandboxError(f"nothing keeps sandbox {spec.id} here", code="sandbox_lost")
            token = spec.token.get_secret_value() if spec.token else ""
            where.make(self._setup_of(spec), base, token, self._supervisors)
        return Created(layer=where.stands_on())

    @cached_property
    def _host(self) -> dict[str, Any]:
        """Find out once what this host lets us do, and lay down what all sandboxes share."""
        etc.lay(self._shared / "etc")
        return self._setup | {"disk": self._disk}

    def _setup_of(self, spec: SandboxSpec) -> dict[str, Any]:
        uid, gid = owner(spec.id)
        return self._host | {
            "id": spec.id,
            "tenant": spec.tenant_id,
            "wanted": spec.layers,
            "uid": uid,
            "gid": gid,
            "limits": spec.limits.model_dump(),
            "ends_at": time.time() + spec.seconds,
        }

    async def keep(self, sandbox_id: str, layer: str) -> None:
        """Have the supervisor keep the files, which it alone can reach."""
        await self._found(sandbox_id).ask({"do": "keep", "layer": layer})

    async def start(self, sandbox_id: str, phase: PhaseSpec) -> None:
        """Lay the phase's files down and have it started."""
        where = self._found(sandbox_id)
        if await asyncio.to_thread(where.end_of, phase.name) is not None:
            return
        told = phase.model_dump(exclude={"files"})
        await asyncio.to_thread(where.lay_down, told, phase.files)
        await where.ask({"do": "start", "phase": phase.name})

    async def wait(self, sandbox_id: str, phase: str) -> PhaseEnd:
        """Return how the phase ended, from its supervisor or from what that wrote down."""
        where = self._found(sandbox_id)
        noted = await asyncio.to_thread(where.end_of, phase)
        if noted is None:
            try:
                answer = await where.ask({"do": "wait", "phase": phase})
            except SandboxError:
                answer = None
            noted = await asyncio.to_thread(where.end_of, phase)
            if answer and answer.get("unknown") and noted is None:
                raise SandboxError(f"phase {phase} was not started", code="sandbox_lost")
        if noted is None:
            return PhaseEnd(reason="sandbox_lost", detail="the sandbox's supervisor is gone")
        return PhaseEnd.model_validate(noted)

    async def output(
        self, sandbox_id: str, phase: str, offset: int, *, limit: int = 65_536
    ) -> bytes:
        """Return captured output; waits up to a second for more while the phase runs."""
        where = self._found(sandbox_id)
        end = self._clock.monotonic() + _OUTPUT_WAIT_SECONDS
        pause = _SHORTEST_POLL_SECONDS
        while True:
            over = where.end_of(phase) is not None
            data = where.output_of(phase, offset, limit)
            if data or over or self._clock.monotonic() >= end:
                return data
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)

    async def signal(self, sandbox_id: str, *, kill: bool = False) -> None:
        """Stop or kill the running phase."""
        await self._found(sandbox_id).ask({"do": "signal", "kill": kill})

    async def list(self) -> list[str]:
        """Return the ids of all folders here."""
        return await asyncio.to_thread(folders.names, self._root)

    async def destroy(self, sandbox_id: str) -> None:
        """End the supervisor and everything it kept, and remove the folder."""
        where = self._at(sandbox_id)
        await asyncio.to_thread(where.destroy)

    def _at(self, sandbox_id: str) -> Folder:
        return Folder(self._root / sandbox_id)

    def _found(self, sandbox_id: str) -> Folder:
        where = self._at(sandbox_id)
        if not where.exists():
            raise SandboxError(f"sandbox {sandbox_id} is not here", code="sandbox_lost")
        return where


def _refuse_foreign(spec: SandboxSpec) -> None:
    """Raise for what only a backend with images has: never leave it out silently."""
    if spec.image is not None:
        said = "Local sandboxes consist of this host's own files and take no image."
        raise SandboxError(said, code="image_unusable")
    if spec.services:
        said = "Local sandboxes have no services beside them."
        raise SandboxError(said, code="services_not_supported")
