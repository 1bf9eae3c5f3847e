"""Servers beside a sandbox: made with it, and there before its first phase."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from codexsys_adapters.docker import parts
from codexsys_adapters.docker.engine import NOT_MODIFIED, Engine, ensure, log_of, unless
from codexsys_adapters.docker.parts import Sandbox
from codexsys_adapters.docker.weight import Weight
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import Progress

_SECONDS = 120.0


async def start(docker: Docker, sandbox: Sandbox, network: str, progress: Progress) -> None:
    """Start all services of a sandbox and wait until each answers."""
    told = sandbox.setup["services"]
    for service in told:
        progress(f"starting service {service['name']}")
        name = _name(sandbox, service)
        try:
            container = await ensure(docker, name, parts.service(sandbox, service, network))
            with unless(NOT_MODIFIED):
                await container.start()
        except DockerError as error:
            message = f"Service {service['name']} cannot start: {error.message}"
            raise SandboxError(message, code="image_unusable") from error
    await asyncio.gather(*(_must_answer(docker, sandbox, service) for service in told))


async def weigh(engine: Engine, sandbox: Sandbox) -> None:
    """Have the services weigh what their first processes want, until they have ended."""
    told = sandbox.setup["services"]
    await asyncio.gather(*(_weigh(engine, sandbox, service) for service in told))


async def _weigh(engine: Engine, sandbox: Sandbox, service: dict[str, Any]) -> None:
    name = _name(sandbox, service)
    weight = Weight(name, sandbox.setup)
    with contextlib.suppress(SandboxError):  # the engine has gone, and its containers with it
        async with engine.session() as docker, log_of(docker, name) as pieces:
            async for line in _lines(pieces):
                weight.hear(line)
                await weight.settle(docker)


async def _must_answer(docker: Docker, sandbox: Sandbox, service: dict[str, Any]) -> None:
    what = f"Service {service['name']}"
    try:
        async with (
            asyncio.timeout(_SECONDS),
            log_of(docker, _name(sandbox, service)) as pieces,
        ):
            async for line in _lines(pieces):
                if line == b"r":
                    return
                if line.startswith(b"e{"):
                    raise SandboxError(f"{what} ended: {_words(line[1:])}")
    except TimeoutError:
        message = f"{what} does not answer on port {service['port']} after {_SECONDS:.0f} seconds."
        raise SandboxError(message) from None
    raise SandboxError(f"{what} ended.")


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line


def _name(sandbox: Sandbox, service: dict[str, Any]) -> str:
    return sandbox.name(f"service-{service['name']}")


def _words(end: bytes) -> str:
    told = json.loads(end)
    return str(told.get("words") or told.get("detail") or told.get("reason") or told)
