"""A sandbox as the worker uses it: its row, its phases, its output as log lines."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import SecretStr

from codexsys_core.clock import Clock
from codexsys_core.errors import SandboxError
from codexsys_core.ids import Ids
from codexsys_core.log import CHUNK_BYTES, LogStore, Redactor
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
from codexsys_worker.work import Lost, Work

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
        logs: LogStore,
        clock: Clock,
        ids: Ids,
        kind: str,
    ) -> None:
        self._sandboxes = sandboxes
        self._backend = backend
        self._logs = logs
        self._clock = clock
        self._ids = ids
        self._kind = kind

    @asynccontextmanager
    async def open(
        self, work: Work, role: SandboxRole, *, layers: tuple[str, ...], redactor: Redactor
    ) -> AsyncIterator["Room"]:
        """Make a sandbox, and destroy it at the end unless the attempt is lost."""
        spec, row = self._describe(work, role, layers)
        if not await self._sandboxes.add(work.hold, row):
            raise Lost
        room = Room(
            work=work,
            sandbox_id=spec.id,
            backend=self._backend,
            logs=self._logs,
            redactor=redactor,
        )
        try:
            async with room.telling("setup") as progress:
                created = await self._backend.create(spec, work.base_dir, progress=progress)
            room.layer = created.layer
            if created.image:
                await room.note("setup", f"== image {created.image}")
            if not await self._sandboxes.live(spec.id):
                raise Lost
            yield room
        finally:
            if not work.lost:
                await asyncio.shield(self.clear(spec.id, "closed"))

    async def clear(self, sandbox_id: str, reason: str) -> None:
        """End the row, then destroy what it stands for."""
        await self._sandboxes.end(sandbox_id, reason)
        await self._backend.destroy(sandbox_id)
        await self._sandboxes.destroyed(sandbox_id)

    def _describe(
        self, work: Work, role: SandboxRole, layers: tuple[str, ...]
    ) -> tuple[SandboxSpec, Sandbox]:
        limits = work.spec.limits
        main = limits.wall_seconds if role is SandboxRole.AGENT else limits.checks_seconds
        rounds = 1 + limits.verify_rounds if role is SandboxRole.AGENT else 2
        seconds = limits.setup_seconds * 2 + main * rounds + SPARE_SECONDS
        token = new_secret() if role is SandboxRole.AGENT else None
        spec = SandboxSpec(
            id=self._ids.new("sbx"),
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
        logs: LogStore,
        redactor: Redactor,
    ) -> None:
        self.id = sandbox_id
        self.layer: str | None = None
        """What it stands on."""
        self._redactor = redactor
        self._work = work
        self._backend = backend
        self._logs = logs
        self._numbers: dict[str, int] = {}

    async def run(self, phase: PhaseSpec, *, stream: str | None = None) -> PhaseEnd:
        """Run a phase to its end; its output becomes lines of `stream`.

        Cancelling kills the phase at once; a lost attempt leaves it running.
        """
        self._work.check()
        await self._backend.start(self.id, phase)
        pump = asyncio.create_task(self._pump(phase.name, stream)) if stream else None
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
        """Keep the files as they are now under a name; nothing without one."""
        if layer is not None:
            self._work.check()
            await self._backend.keep(self.id, layer)

    @asynccontextmanager
    async def telling(self, stream: str) -> AsyncIterator[Progress]:
        """Give what may be told lines that become notes while something takes long."""
        lines: asyncio.Queue[str | None] = asyncio.Queue()

        async def note_all() -> None:
            while (line := await lines.get()) is not None:
                await self.note(stream, line)

        noting = asyncio.create_task(note_all())
        try:
            yield lines.put_nowait
        finally:
            lines.put_nowait(None)
            await noting

    async def note(self, stream: str, text: str) -> None:
        """Add a line of the platform's own to a stream."""
        await self._append(stream, text.encode() + b"\n")

    async def _pump(self, phase: str, stream: str) -> None:
        """Copy output to the log in whole lines; ends once the phase has ended and all was read."""
        offset, held = 0, b""
        ended = asyncio.create_task(self._backend.wait(self.id, phase))
        try:
            while True:
                over = ended.done()
                piece = await self._backend.output(self.id, phase, offset, limit=CHUNK_BYTES)
                offset += len(piece)
                held = await self._lines(stream, held + piece)
                if over and not piece:
                    break
                if not piece:  # over already, but its end is still to be read: let that happen
                    await asyncio.wait({ended}, timeout=_PAUSE_SECONDS)
            if held:
                await self._append(stream, held + b"\n")
        finally:
            ended.cancel()

    async def _lines(self, stream: str, text: bytes) -> bytes:
        whole, newline, rest = text.rpartition(b"\n")
        if newline:
            await self._append(stream, whole + newline)
        elif len(rest) >= CHUNK_BYTES:
            await self._append(stream, rest)
            return b""
        return rest

    async def _append(self, stream: str, text: bytes) -> None:
        text = self._redactor.redact(text)
        for start in range(0, len(text), CHUNK_BYTES):
            number = self._numbers[stream] = self._numbers.get(stream, 0) + 1
            await self._logs.append(
                self._work.task.id, self.id, stream, number, text[start : start + CHUNK_BYTES]
            )

    async def tail(self, phase: str, *, without: str, most: int = 8000) -> str:
        """Return the end of a phase's output, less the lines that hold a word."""
        kept, offset = b"", 0
        while piece := await self._backend.output(self.id, phase, offset, limit=1 << 20):
            offset += len(piece)
            kept = (kept + piece)[-4 * most :]
        lines = [line for line in kept.decode(errors="replace").split("\n") if without not in line]
        return "\n".join(lines)[-most:]
