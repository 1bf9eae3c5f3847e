"""The pod's stages, as the keeper sees them: who is there, and where the next phase may run."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from codexsys_adapters.kubernetes.inside.places import LAST, STAGES

_HELLO_SECONDS = 10.0
_ANSWER_SECONDS, _PAUSE_SECONDS = 120.0, 0.05
_CREDENTIALS = "iII"  # struct ucred
_WORKSPACE, _SETUP, _LAST = 0, 1, 2
_BEFORE_SERVICES = ("workspace", "environment", "setup")
"""Names of the phases that are not meant to see them."""
_OVER = b'{"over": true}\n'


class Refused(Exception):
    """The pod is beyond the point at which this phase could run."""


class Stages:
    """Only goes forward: what was open is closed before a stage of the next kind begins.

    Each name is taken once, before any phase could run in its container, and by its own user alone:
    no phase can pose as another stage later, and no service at any time.
    """

    def __init__(
        self,
        *,
        door: bool,
        users: Mapping[str, int],
        revoked: Callable[[], None],
        services: bool = False,
    ) -> None:
        """`users` says who may come under which name; `services`, whether phases want to see some."""
        self._door = door
        self._services = services
        self._users = users
        self._revoked = revoked
        self._at = _WORKSPACE
        self._asked: list[str] | None = None
        self._over = False
        self._there: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._come = asyncio.Condition()

    async def met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection, if its name is not taken."""
        name = await _hello(reader)
        async with self._come:
            if self._users.get(name) != _user_of(writer) or name in self._there:
                writer.close()
                return
            self._there[name] = (reader, writer)
            self._come.notify_all()
        if name == "rules":
            await self._answer_rules(writer)
        elif name == "door":
            await self._watch_door(reader)
        elif self._over or self._is_behind(name):
            await _say(writer, _OVER)

    async def there(self, *names: str) -> None:
        """Return when all of them have come."""
        async with self._come:
            await self._come.wait_for(lambda: all(name in self._there for name in names))

    async def place_for(self, phase: dict[str, Any]) -> str:
        """Go on to where a phase may run; return the stage. Raises `Refused`."""
        online = phase["network"] == "public"
        if online and (self._at == _LAST or phase["workspace"] != "write"):
            raise Refused(
                "an online phase comes before the network is closed for good, and may write"
            )
        if online and self._at == _SETUP and sorted(phase["allow"]) != self._asked:
            raise Refused("what may be reached was settled by an earlier phase")
        if phase["network"] == "door" and not self._door:
            raise Refused("this sandbox has no door")
        target = self._target(phase, online=online)
        if online and self._at == _WORKSPACE:
            self._asked = sorted(phase["allow"])
        while self._at < target:
            await self._leave(STAGES[self._at])
        if target < _LAST:
            await self.there(STAGES[target])
            return STAGES[target]
        await self.there(*LAST, *(["door"] if phase["network"] == "door" else []))
        return {"write": "agent", "read": "reader"}.get(phase["workspace"], "collector")

    def of(self, stage: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return the connection to a stage that is there."""
        return self._there[stage]

    async def end(self) -> None:
        """Tell all stages, and those that will still come, that there is nothing more to run."""
        self._over = True
        async with self._come:
            self._at = _LAST
            self._come.notify_all()
            for stage in STAGES:
                if stage in self._there:
                    await _say(self._there[stage][1], _OVER)

    def _target(self, phase: dict[str, Any], *, online: bool) -> int:
        if online:
            return _SETUP
        quiet = phase["network"] == "none" and phase["workspace"] == "write"
        if self._services and phase["name"] not in _BEFORE_SERVICES:
            return _LAST
        return _WORKSPACE if quiet and self._at == _WORKSPACE else _LAST

    async def _leave(self, stage: str) -> None:
        async with self._come:
            self._at += 1
            self._come.notify_all()
            if stage in self._there:
                await _say(self._there[stage][1], _OVER)

    def _is_behind(self, name: str) -> bool:
        return name in STAGES[: self._at]

    async def _answer_rules(self, writer: asyncio.StreamWriter) -> None:
        async with self._come:
            await self._come.wait_for(lambda: self._at > _WORKSPACE)
        await _say(writer, json.dumps(self._asked).encode() + b"\n")

    async def _watch_door(self, reader: asyncio.StreamReader) -> None:
        if await reader.readline() == b"revoked\n":
            self._revoked()
        else:
            async with self._come:  # it has died, and comes back
                del self._there["door"]


def _user_of(writer: asyncio.StreamWriter) -> int:
    """Return who is at the other end, as the kernel has it."""
    credentials = writer.get_extra_info("socket").getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS)
    )
    return int(struct.unpack(_CREDENTIALS, credentials)[1])


async def answering(services: Iterable[tuple[str, int]]) -> None:
    """Return when every server beside the sandbox answers on loopback; raises `Refused`."""
    for name, port in services:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await _answers(port)
        except TimeoutError:
            raise Refused(f"service {name} does not answer on port {port}") from None


async def _answers(port: int) -> None:
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        await asyncio.sleep(_PAUSE_SECONDS)


async def _hello(reader: asyncio.StreamReader) -> str:
    with contextlib.suppress(ValueError, TimeoutError, OSError, AttributeError):
        async with asyncio.timeout(_HELLO_SECONDS):
            return str(json.loads(await reader.readline()).get("name"))
    return ""


async def _say(writer: asyncio.StreamWriter, line: bytes) -> None:
    with contextlib.suppress(OSError):  # it has gone
        writer.write(line)
        await writer.drain()
