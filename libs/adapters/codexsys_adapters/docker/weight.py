"""What a container weighs beside others: its first process says when, the engine is told."""

import contextlib
from typing import Any

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from codexsys_adapters.docker.engine import update

SHARES = 1024


def shares(setup: dict[str, Any]) -> int:
    """Return what a phase or a service weighs: all of a sandbox together as much as another one."""
    return SHARES // (1 + len(setup["services"]))


class Weight:
    """Of one container, as the lines of its log want it."""

    def __init__(self, container: str, setup: dict[str, Any]) -> None:
        self._container = container
        self._shares = shares(setup)
        self._wanted = self._told = b""

    def hear(self, line: bytes) -> None:
        """Take a line; all but those about weights mean nothing."""
        if line[:1] == b"w" and line[1:].isdigit():
            self._wanted = line[1:]

    async def settle(self, docker: Docker) -> None:
        """Tell the engine what was wanted last, if it was not told yet."""
        if self._wanted == self._told:
            return
        self._told = self._wanted
        with contextlib.suppress(DockerError):  # it has ended meanwhile
            await update(docker, self._container, CpuShares=self._shares // int(self._told))
