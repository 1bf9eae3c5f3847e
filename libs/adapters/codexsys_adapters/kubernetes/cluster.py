"""The API server as this adapter uses it: plain objects in and out, and refusals in our words."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import (
    ConfigException,
    load_incluster_config,
    load_kube_config,
)

from codexsys_adapters.kubernetes.site import Object
from codexsys_core.errors import SandboxError

FORBIDDEN, NOT_FOUND, CONFLICT, GONE = 403, 404, 409, 410
_ANSWER_SECONDS = 30.0
_CONNECT_SECONDS = 10.0
_QUIET_SECONDS = 40.0
_PASSING = (408, 429, 500, 502, 503, 504)
_CHANNELS = "v4.channel.k8s.io"
_IN, _OUT, _ERRORS, _STATUS = range(4)
_PIECE = 256 << 10


class Refusal(Exception):
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Away(SandboxError):
    """Nobody answers, or only that it cannot be now: to be asked again."""

    def __init__(self, why: object) -> None:
        super().__init__(f"The cluster does not answer: {why}", code="sandbox_failed")


class Cluster:
    """One cluster. Each use opens a connection of its own: nothing is tied to an event loop."""

    def __init__(self, kubeconfig: Path | None, context: str | None = None) -> None:
        self._kubeconfig = kubeconfig
        self._context = context
        self._configuration: Configuration | None = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        query: Sequence[tuple[str, str]] = (),
        content: str = "application/json",
    ) -> Object:
        """Make a request; raises `Refusal`, and `Away`."""
        async with self._asked(method, path, body, query, content, _ANSWER_SECONDS) as response:
            answer: Object = json.loads(await response.read())
            return answer

    @contextlib.asynccontextmanager
    async def lines(
        self, path: str, query: Sequence[tuple[str, str]], *, silent: float | None = None
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """Give what comes, line by line, for as long as it comes; raises `Refusal`, and `Away`."""
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=silent)
        async with self._asked("GET", path, None, query, "application/json", timeout) as response:
            yield response.content

    @contextlib.asynccontextmanager
    async def _asked(
        self,
        method: str,
        path: str,
        body: Object | None,
        query: Sequence[tuple[str, str]],
        content: str,
        within: Any,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        async with self._client() as client:
            told = await client.param_serialize(
                method,
                path,
                query_params=list(query),
                header_params={"Accept": "application/json", "Content-Type": content},
                body=body,
                auth_settings=["BearerToken"],
            )
            answered = await client.rest_client.request(*told, _request_timeout=within)
            response: aiohttp.ClientResponse = answered.response
            try:
                if response.status >= 400:
                    raise _refusal(response.status, await response.read())
                yield response
            finally:
                await _hang_up(response)

    @contextlib.asynccontextmanager
    async def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str]
    ) -> AsyncIterator["Exec"]:
        """Run a command in a container, and give both ends of it."""
        query = [("container", container), ("stdin", "true"), ("stdout", "true")]
        query += [("stderr", "true"), *(("command", word) for word in command)]
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec"
        async with self._client() as client:
            _, url, headers, _, _ = await client.param_serialize(
                "GET", path, query_params=query, header_params={}, auth_settings=["BearerToken"]
            )
            connector = aiohttp.TCPConnector(ssl=client.rest_client.ssl_context)
            try:
                async with (
                    aiohttp.ClientSession(connector=connector, trust_env=True) as session,
                    session.ws_connect(
                        url.replace("http", "ws", 1),
                        headers=headers,
                        protocols=[_CHANNELS],
                        max_msg_size=0,
                    ) as socket,
                ):
                    yield Exec(socket)
            except aiohttp.WSServerHandshakeError as error:
                why = f"exec in {container} of {pod}: status {error.status}"
                raise _refusal(error.status, why.encode()) from error

    @contextlib.asynccontextmanager
    async def _client(self) -> AsyncIterator[ApiClient]:
        try:
            async with ApiClient(configuration=await self._configured()) as client:
                yield client
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Away(str(error) or type(error).__name__) from error

    async def _configured(self) -> Configuration:
        if self._configuration is None:
            made = Configuration()
            try:
                if self._kubeconfig is None:
                    load_incluster_config(client_configuration=made)
                else:
                    await load_kube_config(str(self._kubeconfig), self._context, made)
            except ConfigException as error:
                raise SandboxError(f"The cluster's settings cannot be read: {error}") from error
            self._configuration = made
        return self._configuration


class Exec:
    """A command that runs in a container: lines out of it, bytes into it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._rest = b""
        self._noise = b""
        self.succeeded = False
        """Whether it ended well, once it has ended."""

    async def send(self, data: bytes) -> None:
        """Write to its input."""
        for start in range(0, len(data), _PIECE):
            await self._socket.send_bytes(bytes([_IN]) + data[start : start + _PIECE])

    async def lines(self) -> AsyncIterator[bytes]:
        """Give whole lines of its output; TimeoutError when nothing comes for long."""
        async for data in self.pieces():
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                yield line

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give its output as it comes; TimeoutError when nothing comes for long."""
        while True:
            message = await asyncio.wait_for(self._socket.receive(), _QUIET_SECONDS)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return
            channel, data = message.data[0], message.data[1:]
            if channel == _OUT:
                yield data
            elif channel == _ERRORS:
                self._noise = (self._noise + data)[-500:]
            elif channel == _STATUS:
                self.succeeded = b'"Success"' in data

    @property
    def noise(self) -> str:
        """Return the end of what it said on its standard error."""
        return self._noise.decode(errors="replace").strip()


async def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Let go of an answer that may not have ended, without waiting for the other side."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()
    await asyncio.sleep(0)


def _refusal(status: int, body: bytes) -> Refusal | Away:
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace")[:300] or f"status {status}"
    return Away(message) if status in _PASSING else Refusal(status, message)
