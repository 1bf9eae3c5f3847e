"""What a phase's network leads to: nothing, the door, or public addresses behind a gate."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiodocker import Docker

from codexsys_adapters.docker import images, parts
from codexsys_adapters.docker.engine import (
    NOT_MODIFIED,
    containers_of,
    ensure,
    log_of,
    remove,
    unless,
)
from codexsys_adapters.docker.parts import Sandbox
from codexsys_adapters.walls.addresses import TRIE, own_addresses
from codexsys_adapters.walls.rules import effective

NONE = "none"
_READY = b"ready"


class NoNetwork(Exception):
    """The phase cannot have its network, and must not start."""


@dataclass(frozen=True)
class Network:
    """Opens networks for phases; holds what the operator decided."""

    sockets: Path
    """The folder in which the gateways of this host keep their sockets."""
    allow: Sequence[str]
    deny: Sequence[str]

    async def open(self, docker: Docker, sandbox: Sandbox, told: dict[str, Any]) -> str:
        """Return the engine's word for the network; raises `NoNetwork`."""
        match told["network"]:
            case "none" if _beside_services(sandbox.setup, told):
                return await self.hold(docker, sandbox)
            case "none":
                return NONE
            case "door":
                return await self._door(docker, sandbox)
            case "public":
                return await self._gate(docker, sandbox, told)
            case other:
                raise NoNetwork(f"no network {other}")

    async def close(self, docker: Docker, sandbox_id: str, phase: str) -> None:
        """Remove the gate of a phase that is over."""
        for container in await containers_of(docker, sandbox=sandbox_id, part="gate", phase=phase):
            await remove(container)

    async def hold(self, docker: Docker, sandbox: Sandbox) -> str:
        """Return the namespace that a sandbox's services are in: behind its door, if it has one."""
        if sandbox.setup["door"]:
            return await self._door(docker, sandbox)
        await images.have_scratch(docker)
        container = await ensure(docker, sandbox.name("net"), parts.holder(sandbox))
        with unless(NOT_MODIFIED):
            await container.start()
        return f"container:{sandbox.name('net')}"

    async def _door(self, docker: Docker, sandbox: Sandbox) -> str:
        await images.have_scratch(docker)
        container = await ensure(docker, sandbox.name("door"), parts.door(sandbox, self.sockets))
        with unless(NOT_MODIFIED):
            await container.start()
        return f"container:{sandbox.name('door')}"

    async def _gate(self, docker: Docker, sandbox: Sandbox, told: dict[str, Any]) -> str:
        name = sandbox.name(f"gate-{told['name']}")
        plan = sandbox.folder.phases / f"{told['name']}.gate"
        plan.write_text(json.dumps(self._rules(told["allow"])))
        await images.have_scratch(docker)
        container = await ensure(docker, name, parts.gate(sandbox, told["name"], plan))
        with unless(NOT_MODIFIED):
            await container.start()
        await _must_be_ready(docker, name)
        return f"container:{name}"

    def _rules(self, asked: Sequence[str]) -> dict[str, Any]:
        try:
            effective(self.allow, asked)
            deny = [*self.deny, *own_addresses(TRIE.read_text())]
        except (ValueError, OSError) as error:
            raise NoNetwork(str(error)) from error
        return {"allow": list(self.allow), "asked": list(asked), "deny": deny}


def _beside_services(setup: dict[str, Any], told: dict[str, Any]) -> bool:
    """Say whether a phase without a network sees the services: not where a door would be there, too."""
    return bool(setup["services"]) and not setup["door"] and told["workspace"] != "sealed"


async def _must_be_ready(docker: Docker, name: str) -> None:
    """Wait until the gate says that its rules are loaded and were read back."""
    said = b""
    async with log_of(docker, name) as pieces:
        async for piece in pieces:
            said += piece
            if _READY in said.splitlines():
                return
    raise NoNetwork(said.decode(errors="replace").strip()[-300:] or "the gate ended")
