"""The engine's API as this adapter uses it: sessions, and errors in our words."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Any

import aiohttp
from aiodocker import Docker
from aiodocker.containers import DockerContainer
from aiodocker.exceptions import DockerError

from codexsys_core.errors import SandboxError

LABEL = "codexsys.dev/"
NOT_FOUND, CONFLICT, NOT_MODIFIED = 404, 409, 304
_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 120.0
_PAUSE_SECONDS = 0.05
_FRAME = struct.Struct(">BxxxL")


class Engine:
    """One engine. Each use opens a session of its own: nothing is tied to an event loop."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._version = "auto"

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Docker]:
        """Open a session; the engine's refusals and absence become `SandboxError`."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS, sock_connect=_CONNECT_SECONDS)
        try:
            async with Docker(self.host, timeout=timeout, api_version=self._version) as docker:
                yield docker
                self._version = docker.api_version
        except DockerError as error:
            raise SandboxError(f"The Docker engine refused: {error.message}") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise SandboxError(f"The Docker engine does not answer: {error}") from error

    async def containers(self, **labels: str) -> list[DockerContainer]:
        """Return all containers with these labels of ours, whatever their state."""
        async with self.session() as docker:
            return await containers_of(docker, **labels)


async def containers_of(docker: Docker, **labels: str) -> list[DockerContainer]:
    """Return all containers with these labels of ours, whatever their state."""
    wanted = [f"{LABEL}{name}={value}" if value else LABEL + name for name, value in labels.items()]
    return await docker.containers.list(all=1, filters=json.dumps({"label": wanted}))


def label_of(container: DockerContainer, name: str) -> str:
    """Return a label of ours, from a listing."""
    return str(container["Labels"].get(LABEL + name, ""))


async def ensure(docker: Docker, name: str, config: dict[str, Any]) -> DockerContainer:
    """Make a container; the one that has this name already is as good.

    A name is taken before its container is there, by another worker or for one that has died
    meanwhile: that is waited for, until it is there or the name is free again.
    """
    container = docker.containers.container(name)
    async with asyncio.timeout(_ANSWER_SECONDS):
        while True:
            try:
                return await docker.containers.create(config, name=name)
            except DockerError as error:
                if error.status != CONFLICT:
                    raise
            with unless(NOT_FOUND):
                await container.show()
                return container
            await asyncio.sleep(_PAUSE_SECONDS)


@contextlib.contextmanager
def unless(*statuses: int) -> Iterator[None]:
    """Pass over these refusals: what was asked for is so already."""
    try:
        yield
    except DockerError as error:
        if error.status not in statuses:
            raise


@contextlib.asynccontextmanager
async def log_of(docker: Docker, name: str) -> AsyncIterator[AsyncIterator[bytes]]:
    """Give what a container says, in pieces, from its start to its end.

    The driver's own way of doing this leaves its connection open when one stops listening.
    """
    await docker.containers.container(name).show()  # or fail as the driver does
    url = f"{docker.docker_host}/{docker.api_version}/containers/{name}/logs"
    wanted = {"stdout": "1", "stderr": "1", "follow": "1"}
    forever = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS)
    async with docker.session.get(url, params=wanted, timeout=forever) as response:
        if response.status != HTTPStatus.OK:
            raise DockerError(response.status, await response.text())
        yield _unframed(response.content)


async def _unframed(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Take the engine's framing off: a stream's number and a length before each piece."""
    while True:
        try:
            header = await stream.readexactly(_FRAME.size)
            yield await stream.readexactly(_FRAME.unpack(header)[1])
        except asyncio.IncompleteReadError:
            return


async def update(docker: Docker, name: str, **resources: int) -> None:
    """Change what a container may have; the driver has no word for it."""
    url = f"{docker.docker_host}/{docker.api_version}/containers/{name}/update"
    async with docker.session.post(url, json=resources) as response:
        if response.status != HTTPStatus.OK:
            raise DockerError(response.status, await response.text())


async def remove(container: DockerContainer) -> None:
    """Kill and remove a container with its volumes; no error when it is going already."""
    with unless(NOT_FOUND, CONFLICT):
        await container.delete(force=True, v=True)
