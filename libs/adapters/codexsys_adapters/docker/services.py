"""Servers beside a sandbox: made with it, and there before its first phase."""

import asyncio
import json
from typing import Any

from aiodocker import Docker
from aiodocker.exceptions import DockerError

from codexsys_adapters.docker import parts
from codexsys_adapters.docker.engine import NOT_MODIFIED, ensure, log_of, unless
from codexsys_adapters.docker.parts import Sandbox
from codexsys_core.errors import SandboxError
from codexsys_core.sandbox import Progress

_SECONDS = 120.0


async def start(docker: Docker, sandbox: Sandbox, network: str, progress: Progress) -> None:
    """Start all services of a sandbox and wait until each answers."""
    told = sandbox.setup["services"]
    for service in told:
        progress(f"starting service {service['name']}")
        name = sandbox.name(f"service-{service['name']}")
        try:
            container = await ensure(docker, name, parts.service(sandbox, service, network))
            with unless(NOT_MODIFIED):
                await container.start()
        except DockerError as error:
            message = f"Service {service['name']} cannot start: {error.message}"
            raise SandboxError(message, code="image_unusable") from error
    await asyncio.gather(*(_must_answer(docker, sandbox, service) for service in told))


async def _must_answer(docker: Docker, sandbox: Sandbox, service: dict[str, Any]) -> None:
    what = f"Service {service['name']}"
    rest = b""
    try:
        async with (
            asyncio.timeout(_SECONDS),
            log_of(docker, sandbox.name(f"service-{service['name']}")) as pieces,
        ):
            async for piece in pieces:
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    if line == b"r":
                        return
                    if line.startswith(b"e{"):
                        raise SandboxError(f"{what} ended: {_words(line[1:])}")
    except TimeoutError:
        message = f"{what} does not answer on port {service['port']} after {_SECONDS:.0f} seconds."
        raise SandboxError(message) from None
    raise SandboxError(f"{what} ended.")


def _words(end: bytes) -> str:
    told = json.loads(end)
    return str(told.get("words") or told.get("detail") or told.get("reason") or told)
