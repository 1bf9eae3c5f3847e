"""Carries a folder into a pod before its command starts, and back when it has ended."""

import asyncio
import contextlib
import tempfile
from typing import IO

from codexsys_adapters.kubernetes.cluster import Cluster
from codexsys_adapters.kubernetes.runs.asked import Asked
from codexsys_adapters.kubernetes.runs.folder import MOST_BYTES, Changes, Folder
from codexsys_adapters.kubernetes.runs.job import ARRIVED, FETCHED, IN, OUT
from codexsys_adapters.kubernetes.runs.terminal import Terminal
from codexsys_core.errors import SandboxError

_PIECE = 1 << 20
_TRIES = 3
_SHOWN = 20
_UNPACK = 'head -c "$1" | tar -xof - && : > ' + ARRIVED + " && echo done"
_PACK = "tar -cf - ."
_LEAVE = f": > {FETCHED}"


class Carrier:
    """That of one run; without a folder it has nothing to do."""

    def __init__(self, cluster: Cluster, namespace: str, asked: Asked, terminal: Terminal) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._terminal = terminal
        self._keep = asked.keep
        self._folder = Folder(asked.sync) if asked.sync else None
        self._spool: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the run

    async def pack(self) -> None:
        """Read the folder as it is now."""
        if self._folder is not None:
            await asyncio.to_thread(self._folder.pack, self._spool)

    async def carry_in(self, pod: str) -> None:
        """Send it; once it has arrived the command starts."""
        size = self._spool.seek(0, 2)
        self._spool.seek(0)
        words = ["sh", "-c", _UNPACK, "sh", str(size)]
        async with self._cluster.exec(self._namespace, pod, IN, words) as line:
            heard = b""
            while piece := self._spool.read(_PIECE):
                await line.send(piece)
            async for data in line.pieces():
                heard += data
            if heard.strip() != b"done":
                raise SandboxError(f"The folder could not be sent: {line.noise or heard!r}")
        self._spool.truncate(0)

    async def carry_out(self, pod: str) -> None:
        """Fetch it, make this side's what it has become, and say what that was."""
        if self._folder is None:
            return
        for each in range(_TRIES):
            try:
                await self._fetch(pod)
                break
            except SandboxError:
                if each + 1 == _TRIES:
                    raise
        self._spool.seek(0)
        self._told(await asyncio.to_thread(self._folder.take, self._spool))
        if self._keep:
            with contextlib.suppress(SandboxError):
                await self._said(pod, _LEAVE)

    async def _fetch(self, pod: str) -> None:
        self._spool.seek(0)
        self._spool.truncate()
        async with self._cluster.exec(self._namespace, pod, OUT, ["sh", "-c", _PACK]) as line:
            async for data in line.pieces():
                if self._spool.tell() + len(data) > MOST_BYTES:
                    raise SandboxError("The folder became too large to come back.")
                self._spool.write(data)
            if not line.succeeded:
                raise SandboxError(f"The folder did not come back: {line.noise}")

    async def _said(self, pod: str, script: str) -> None:
        async with self._cluster.exec(self._namespace, pod, OUT, ["sh", "-c", script]) as line:
            async for _ in line.pieces():
                pass

    def _told(self, changes: Changes) -> None:
        written, removed = len(changes.written), len(changes.removed)
        self._terminal.say(f"Came back: {written} written, {removed} removed")
        for each in changes.left[:_SHOWN]:
            self._terminal.say(f"Left as it is here: {each}")
        if len(changes.left) > _SHOWN:
            self._terminal.say(f"Left as it is here: {len(changes.left) - _SHOWN} more")
