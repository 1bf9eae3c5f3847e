"""The keeper of a sandbox's pod: hands phases on to stages, and keeps what they said.

`keeper.py TOLD`, as JSON. It outlives every worker; each asks it through `exec` of `tell`, one
request a connection, in a line of JSON: `base`, `start`, `follow`, `signal`.
"""

import asyncio
import base64
import contextlib
import io
import json
import os
import shutil
import signal
import sys
import tarfile
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from codexsys_adapters.kubernetes.inside.places import ASK, KEEPER, KEPT, LAST
from codexsys_adapters.kubernetes.inside.spool import QUIET, QUIET_SECONDS, Spool
from codexsys_adapters.kubernetes.inside.stages import Refused, Stages, answering

_LINE = 256 << 20
_BASE = Path("/app/base.git")
_INPUT = Path("/app/input")
_LATE_SECONDS = 20.0
"""After its deadline a phase has this long to end by itself."""
_UNKNOWN = b'x{"code": "sandbox_lost", "message": "the phase was not started"}\n'


class Keeper:
    """What one pod's phases are told, said, and how they ended."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._ends_at: float = time.monotonic() + told["seconds"]  # a node's clock may be set
        self._stages = Stages(
            door=told["token"],
            users=told["users"],
            revoked=self._revoke,
            services=bool(told["services"]),
        )
        self._spools: dict[str, Spool] = {}
        self._running: tuple[str, str] | None = None
        self._closed = ""
        self._one = asyncio.Lock()
        self._based = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def _left(self) -> float:
        return self._ends_at - time.monotonic()

    async def serve(self) -> None:
        """Serve until the pod ends."""
        ASK.unlink(missing_ok=True)
        stages = await asyncio.start_unix_server(self._stages.met, KEEPER, limit=1 << 20)
        asking = await asyncio.start_unix_server(self._asked, str(ASK), limit=_LINE)
        async with stages, asking:
            await asyncio.sleep(max(0.0, self._left) + _LATE_SECONDS)
            await self._close("deadline")
            await asyncio.Event().wait()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # it has gone
            request = json.loads(await reader.readline())
            match request["do"]:
                case "base":
                    await self._take_base(reader, writer)
                case "start":
                    self._begin(request)
                    await self._follow(writer, request["phase"]["name"], 0)
                case "follow":
                    await self._follow(writer, request["name"], request["offset"])
                case "signal":
                    self._signal(b"k" if request["kill"] else b"t")
                    writer.write(b"done\n")
            await writer.drain()
        writer.close()

    async def _take_base(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Unpack the base once, and say so when the first stage is there."""
        if not self._based.is_set():
            writer.write(b"send\n")
            size = int(await reader.readline())
            data = await reader.readexactly(size)
            await asyncio.to_thread(_unpack, data)
            self._based.set()
        while not await self._has_begun():  # its image may take long
            writer.write(QUIET)
            await writer.drain()
        writer.write(b"done\n")

    async def _has_begun(self) -> bool:
        """Wait for the first stage; False when it has not come for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUIET_SECONDS):
                await self._stages.there("workspace")
                return True
        return False

    def _begin(self, request: dict[str, Any]) -> None:
        """Start a phase unless it was started; what it is told a second time means nothing."""
        phase = request["phase"]
        if phase["name"] in self._spools:
            return
        spool = self._spools[phase["name"]] = Spool(KEPT / f"{len(self._spools)}.out")
        files = {name: base64.b64decode(text) for name, text in request["files"].items()}
        self._keep(self._run(phase, files, spool))

    async def _run(self, phase: dict[str, Any], files: dict[str, bytes], spool: Spool) -> None:
        async with self._one:
            if self._closed:
                await spool.fail(self._closed, "")
                return
            try:
                async with asyncio.timeout(max(1.0, self._left)):
                    stage = await self._stages.place_for(phase)
                    if stage in LAST:
                        await answering(self._told["services"])
                await asyncio.to_thread(_lay_down, files)
                await self._hand_on(stage, phase, spool)
            except Refused as refused:
                await spool.fail("sandbox_failed", str(refused))
            except TimeoutError:
                await spool.fail("deadline", "")
            except (OSError, ValueError) as error:
                await spool.fail("sandbox_lost", f"the stage is gone: {error}")
            finally:
                self._running = None

    async def _hand_on(self, stage: str, phase: dict[str, Any], spool: Spool) -> None:
        reader, writer = self._stages.of(stage)
        writer.write(json.dumps(self._plan(phase)).encode() + b"\n")
        await writer.drain()
        self._running = (stage, phase["name"])
        while not spool.over:
            line = await reader.readline()
            if not line:
                await spool.fail("sandbox_lost", "the stage's first process is gone")
                return
            await spool.hear(line)

    def _plan(self, phase: dict[str, Any]) -> dict[str, Any]:
        """Return what the first process of a stage is told."""
        return {
            "argv": phase["argv"],
            "env": phase["env"],
            "cwd": "/app/code",
            "seconds": phase["seconds"],
            "ends_at": time.time() + self._left,
            "share": self._told["share"],
            "pids": self._told["pids"],
            "disk_mb": self._told["disk_mb"],
            "disk": self._told["disk"],
            "output": phase["output"],
            "cap": phase["output_bytes"] or self._told["output_bytes"],
            "door": True,
            "port": None,
            "beside": None if phase["network"] == "public" else self._told["beside"],
        }

    async def _follow(self, writer: asyncio.StreamWriter, name: str, offset: int) -> None:
        spool = self._spools.get(name)
        if spool is None:
            writer.write(_UNKNOWN)
            return
        async for line in spool.lines(offset):
            writer.write(line)
            await writer.drain()

    def _signal(self, order: bytes) -> None:
        if self._running:
            _, writer = self._stages.of(self._running[0])
            writer.write(order)

    def _revoke(self) -> None:
        """End everything: the sandbox's row has ended."""
        self._keep(self._close("signalled"))

    async def _close(self, reason: str) -> None:
        self._closed = self._closed or reason
        self._signal(b"k")
        async with self._one:
            await self._stages.end()

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _unpack(data: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(_BASE, filter="data")


def _lay_down(files: dict[str, bytes]) -> None:
    """Give the next phase its files, and none of the last one's."""
    for path in _INPUT.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for name, data in files.items():
        target = _INPUT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        target.chmod(0o755 if data.startswith(b"#!") else 0o644)


def main(told: dict[str, Any]) -> None:
    """Keep the pod's sandbox until the cluster ends us."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.umask(0o022)
    asyncio.run(Keeper(told).serve())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
