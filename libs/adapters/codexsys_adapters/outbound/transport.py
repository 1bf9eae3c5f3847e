"""An HTTP transport whose connections go to checked addresses only."""

from collections.abc import Awaitable, Callable, Iterable

import httpcore2
import httpx2
from httpcore2 import AnyIOBackend, AsyncNetworkBackend
from typing_extensions import override

from codexsys_adapters.outbound.failure import OutboundFailure

KEPT_SECONDS = 3.0
"""How long an idle connection is kept: well below the five seconds after which many servers close theirs,
since a request that meets the closing may have been heard, and is paid for."""
Addresses = Callable[[str, int], Awaitable[tuple[str, ...]]]


class _CheckedBackend(AsyncNetworkBackend):
    """Connects to the addresses it is told, never to a name."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._inner = AnyIOBackend()

    @override
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        problem: Exception | None = None
        for address in await self._checked(host, port):
            try:
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        raise problem or httpcore2.ConnectError(f"{host} has no address")

    async def _checked(self, host: str, port: int) -> tuple[str, ...]:
        try:
            return await self._addresses(host, port)
        except OutboundFailure as failure:
            raise httpcore2.ConnectError(failure.detail) from failure

    @override
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise httpcore2.ConnectError("no unix socket leads out")

    @override
    async def sleep(self, seconds: float) -> None:
        await self._inner.sleep(seconds)


class CheckedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport over a pool that knows only the checked backend."""

    def __init__(self, addresses: Addresses, *, schemes: tuple[str, ...]) -> None:
        super().__init__(trust_env=False)
        self._schemes = schemes
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=100,
            max_keepalive_connections=20,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=_CheckedBackend(addresses),
        )

    @override
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.scheme not in self._schemes:
            raise httpx2.UnsupportedProtocol(f"only {' and '.join(self._schemes)} go out")
        return await super().handle_async_request(request)
