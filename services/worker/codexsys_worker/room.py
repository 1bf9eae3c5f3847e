"""A sandbox as the worker uses it: its row, its phases, its output as log lines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import SecretStr

from codexsys_core.attempt import Hold, Living
from codexsys_core.clock import Clock
from codexsys_core.errors import SandboxError, Unavailable
from codexsys_core.ids import Ids
from codexsys_core.log import CHUNK_BYTES, Redactor
from codexsys_core.principal import hash_secret, new_secret
from codexsys_core.sandbox import (
    PhaseEnd,
    PhaseSpec,
    Progress,
    Sandbox,
    SandboxBackend,
    SandboxLimits,
    SandboxRole,
    SandboxSpec,
    SandboxStore,
)
from codexsys_worker.copying import Copy, Lines
from codexsys_worker.work import Forsaken, Lost, Work

_PAUSE_SECONDS = 0.05
SPARE_SECONDS = 120.0
"""Beyond its phases' limits a sandbox may live this long for collecting and clearing away."""


class Rooms:
    """Makes sandboxes: row first, then the place, and clears both away."""

    def __init__(
        self,
        *,
        sandboxes: SandboxStore,
        backend: SandboxBackend,
        lines: Lines,
        clock: Clock,
        ids: Ids,
        kind: str,
        life: int,
    ) -> None:
        self._sandboxes = sandboxes
        self._backend = backend
        self._lines = lines
        self._clock = clock
        self._ids = ids
        self._kind = kind
        self._life = life

    @property
    def isolated(self) -> bool:
        """Say whether they are sandboxes, and not only called so."""
        return self._kind != "none"

    @asynccontextmanager
    async def open(
        self, work: Work, role: SandboxRole, *, layers: tuple[str, ...], redactor: Redactor
    ) -> AsyncIterator["Room"]:
        """Make a sandbox, or find the agent's that lives, and destroy it at the end.

        It is left as it is for whoever carries on where the attempt is lost, or a server is away.
        """
        living = work.living if role is SandboxRole.AGENT else None
        spec, row = self._describe(work, role, layers, living)
        if living is None and not await self._sandboxes.add(work.hold, row):
            raise Lost
        room = Room(
            work=work,
            sandbox_id=spec.id,
            backend=self._backend,
            lines=self._lines,
            redactor=redactor,
            found=living is not None,
        )
        left = False
        try:
            if living is None:
                async with room.telling("setup") as progress:
                    await self._make(room, spec, work, progress)
                    yield room
            else:
                await self._find(room, spec)
                yield room
        except Unavailable:
            left = True
            raise
        finally:
            if work.over or not (work.lost or left):
                await asyncio.shield(self._clear(work.hold, spec.id))

    async def _make(self, room: "Room", spec: SandboxSpec, work: Work, progress: Progress) -> None:
        created = await self._backend.create(spec, work.base_dir, progress=progress)
        room.layer = created.layer
        if not await self._sandboxes.live(spec.id):
            raise Lost

    async def _find(self, room: "Room", spec: SandboxSpec) -> None:
        try:
            room.layer = (await self._backend.create(spec, None)).layer
        except SandboxError as error:
            if error.code != "sandbox_lost":
                raise
            raise Forsaken(error.message) from error

    async def _clear(self, hold: Hold, sandbox_id: str) -> None:
        """End the row, then destroy what it stands for; what is another owner's by now is left alone."""
        if await self._sandboxes.end(hold, sandbox_id, "closed"):
            await self._backend.destroy(sandbox_id)
            await self._sandboxes.destroyed(sandbox_id)

    def _describe(
        self, work: Work, role: SandboxRole, layers: tuple[str, ...], living: Living | None
    ) -> tuple[SandboxSpec, Sandbox]:
        limits = work.spec.limits
        main = limits.wall_seconds if role is SandboxRole.AGENT else limits.checks_seconds
        rounds = 1 + limits.verify_rounds if role is SandboxRole.AGENT else 2
        seconds = limits.setup_seconds * 2 + main * rounds + SPARE_SECONDS
        token = new_secret() if role is SandboxRole.AGENT else None
        spec = SandboxSpec(
            id=living.sandbox_id if living else self._ids.new("sbx"),
            task_id=work.task.id,
            tenant_id=work.task.tenant_id,
            role=role,
            image=work.spec.environment.image,
            services=work.spec.environment.services,
            layers=layers,
            limits=SandboxLimits(
                cpus=limits.cpus,
                memory_mb=limits.memory_mb,
                disk_mb=limits.disk_mb,
                pids=limits.pids,
            ),
            seconds=seconds,
            token=SecretStr(token) if token else None,
        )
        now = self._clock.now()
        row = Sandbox(
            id=spec.id,
            task_id=work.task.id,
            tenant_id=work.task.tenant_id,
            attempt_id=work.hold.attempt_id,
            attempt=work.hold.number,
            fence=work.hold.fence,
            role=role,
            backend=self._kind,
            place=self._backend.place,
            life=self._life,
            token_hash=hash_secret(token) if token else None,
            deadline=now + timedelta(seconds=seconds),
            created_at=now,
        )
        return spec, row


class Room:
    """One open sandbox."""

    def __init__(
        self,
        *,
        work: Work,
        sandbox_id: str,
        backend: SandboxBackend,
        lines: Lines,
        redactor: Redactor,
        found: bool,
    ) -> None:
        self.id = sandbox_id
        self.layer: str | None = None
        """What it stands on."""
        self.redactor = redactor
        self._work = work
        self._backend = backend
        self._lines = lines
        self._found = found
        self._parts: dict[str, int] = {}

    async def run(self, phase: PhaseSpec, *, stream: str | None = None) -> PhaseEnd:
        """Run a phase to its end; its output becomes lines of `stream`.

        Cancelling kills the phase at once; a lost attempt leaves it running.
        """
        self._work.check()
        await self._backend.start(self.id, phase)
        pump = asyncio.create_task(self._pump(phase.name, self._next(stream))) if stream else None
        ended = asyncio.create_task(self._backend.wait(self.id, phase.name))
        stop = asyncio.create_task(self._work.stop.wait())
        try:
            await asyncio.wait([ended, stop], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                await self._stop(ended)
            end = await ended
            if pump:
                await pump
            self._work.check()
        finally:
            for task in (ended, stop, pump):
                if task is not None:
                    task.cancel()
        return end

    async def _stop(self, ended: "asyncio.Task[PhaseEnd]") -> None:
        if self._work.lost:
            raise Lost
        await self._backend.signal(self.id)
        done, _ = await asyncio.wait([ended], timeout=10)
        if not done:
            await self._backend.signal(self.id, kill=True)

    async def read(self, phase: PhaseSpec, *, most: int) -> tuple[PhaseEnd, bytes]:
        """Run a phase and return its whole output, up to `most` bytes."""
        end = await self.run(phase)
        data = bytearray()
        while piece := await self._backend.output(self.id, phase.name, len(data), limit=1 << 20):
            data += piece
            if len(data) > most:
                raise SandboxError("The sandbox gave back more than is taken.", code="output_limit")
        return end, bytes(data)

    async def keep(self, layer: str | None) -> None:
        """Keep the files as they are now under a name; nothing without one.

        What was found may have been set up from other inputs than those that are named now.
        """
        if layer is not None and not self._found:
            self._work.check()
            await self._backend.keep(self.id, layer)

    @asynccontextmanager
    async def telling(self, stream: str) -> AsyncIterator[Progress]:
        """Give what may be told lines, which become the stream's first while something takes long."""
        lines: asyncio.Queue[str | None] = asyncio.Queue()
        copy = self._copy(stream, part=0)

        async def note_all() -> None:
            while (line := await lines.get()) is not None:
                await copy.add(line.encode() + b"\n")

        noting = asyncio.create_task(note_all())
        try:
            yield lines.put_nowait
        finally:
            lines.put_nowait(None)
            await noting

    async def note(self, stream: str, text: str) -> None:
        """Add a line of the platform's own to a stream."""
        copy = self._next(stream)
        if not self._found or (await copy.resume() and copy.wants == 0):
            await copy.add(text.encode() + b"\n")

    async def _pump(self, phase: str, copy: Copy) -> None:
        """Copy output to the log in whole lines; ends once the phase has ended and all was read."""
        if self._found and not await copy.resume():
            return
        ended = asyncio.create_task(self._backend.wait(self.id, phase))
        try:
            while True:
                over = ended.done()
                piece = await self._backend.output(self.id, phase, copy.wants, limit=CHUNK_BYTES)
                await copy.add(piece)
                if over and not piece:
                    break
                if not piece:  # over already, but its end is still to be read: let that happen
                    await asyncio.wait({ended}, timeout=_PAUSE_SECONDS)
            await copy.end()
        finally:
            ended.cancel()

    def _next(self, stream: str) -> Copy:
        """Begin the next part of a stream; their order is that of the life, whoever sees it through."""
        self._parts[stream] = self._parts.get(stream, 0) + 1
        return self._copy(stream, part=self._parts[stream])

    def _copy(self, stream: str, *, part: int) -> Copy:
        return Copy(
            lines=self._lines,
            redactor=self.redactor,
            task_id=self._work.task.id,
            sandbox_id=self.id,
            stream=stream,
            part=part,
        )

    async def tail(self, phase: str, *, without: str, most: int = 8000) -> str:
        """Return the end of a phase's output, less the lines that hold a word."""
        kept, offset = b"", 0
        while piece := await self._backend.output(self.id, phase, offset, limit=1 << 20):
            offset += len(piece)
            kept = (kept + piece)[-4 * most :]
        lines = [line for line in kept.decode(errors="replace").split("\n") if without not in line]
        return "\n".join(lines)[-most:]
