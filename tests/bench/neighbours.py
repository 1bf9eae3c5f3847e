"""What work for one processor takes beside a hostile sandbox, against the same with nobody beside it."""

import asyncio
import time
from pathlib import Path

from codexsys_core.ids import TimeOrderedIds
from codexsys_core.sandbox import PhaseSpec, SandboxBackend, SandboxRole, SandboxSpec

_WORK = "sum(i * i for i in range(300_000_000))"
"""Some ten seconds for one processor: what a small task takes, its start included."""
_SECONDS = 180
_HOG = """
import os, time

def on_and_on(what):
    while True:
        try:
            what()
        except (OSError, MemoryError):  # there is no more of it for the moment
            time.sleep(0.001)

def write():
    with open("/app/home/x", "wb") as file:
        for _ in range(1024):
            file.write(bytes(1 << 20))

def take():
    b"x" * (1 << 30)

def talk():
    os.write(1, bytes(256 << 10))
    time.sleep(0.05)

for what in (write, take, os.fork):
    if os.fork() == 0:
        on_and_on(what)
on_and_on(talk)
"""
_MUCH_OUTPUT = 128 << 20  # so that it is there to the end, and not ended for its talk


class Neighbours:
    """Sandboxes of one backend."""

    def __init__(self, backend: SandboxBackend, empty: Path) -> None:
        """`empty` is a repository in which nothing is."""
        self._backend = backend
        self._empty = empty
        self._ids = TimeOrderedIds()

    async def alone(self) -> float:
        """Work for one processor, with nobody beside it."""
        return await self._work()

    async def beside(self) -> float:
        """The same beside a sandbox that forks, writes, talks and takes memory without end."""
        hog = await self._create()
        phase = PhaseSpec(
            name="hog", argv=("python3", "-c", _HOG), seconds=_SECONDS, output_bytes=_MUCH_OUTPUT
        )
        await self._backend.start(hog, phase)
        while not await self._backend.output(hog, "hog", 0, limit=1):
            pass
        took = await self._work()
        ended = asyncio.create_task(self._backend.wait(hog, "hog"))
        if (await asyncio.wait([ended], timeout=0))[0]:
            raise SystemExit(f"the neighbour had gone: {await ended}")
        ended.cancel()
        return took

    async def clear(self) -> None:
        """Remove all sandboxes."""
        for name in await self._backend.list():
            await self._backend.destroy(name)

    async def _work(self) -> float:
        """Return the milliseconds of the work's phase alone."""
        sandbox = await self._create()
        started = time.perf_counter()
        phase = PhaseSpec(name="work", argv=("python3", "-c", _WORK), seconds=_SECONDS)
        await self._backend.start(sandbox, phase)
        end = await self._backend.wait(sandbox, "work")
        if end.exit_code != 0:
            raise SystemExit(f"no work: {end}")
        return (time.perf_counter() - started) * 1000

    async def _create(self) -> str:
        spec = SandboxSpec(
            id=self._ids.new("sbx"),
            task_id="task_1",
            tenant_id="ten_a",
            role=SandboxRole.AGENT,
            seconds=600,
        )
        await self._backend.create(spec, self._empty)
        return spec.id
