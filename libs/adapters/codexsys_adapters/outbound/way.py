"""Outbound: vet a URL by its form, resolve it to checked addresses, connect to those alone."""

import asyncio
import socket
from collections.abc import Collection, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

import httpx2

from codexsys_adapters.outbound.addresses import denied
from codexsys_adapters.outbound.failure import OutboundFailure
from codexsys_adapters.outbound.target import Target, parse
from codexsys_adapters.outbound.transport import CheckedTransport
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Invalid

_DENIED_TEXT = "The URL leads to an address that this platform does not connect to ({})."


class Outbound:
    """Decides where the platform may connect to.

    `allow_networks` opens ranges of the deny list; `trusted_hosts` (`host` or `host:port`) are the
    operator's own servers and are not checked: give them to an instance that sees no user's URL.
    """

    def __init__(
        self,
        *,
        allow_networks: Sequence[str | IPv4Network | IPv6Network] = (),
        allow_http: bool = False,
        trusted_hosts: Collection[str] = (),
        resolve_seconds: float = 10.0,
    ) -> None:
        self._allowed = [ip_network(network) for network in allow_networks]
        self._schemes = ("https", "http") if allow_http else ("https",)
        self._trusted = frozenset(trusted_hosts)
        self._resolve_seconds = resolve_seconds

    def vet(self, url: str) -> Target:
        """Check form and literal address without a connection; raises `Invalid`."""
        target = parse(url, schemes=self._schemes)
        if target.literal and not self._admits(target.host, target.port, target.host):
            raise Invalid(_DENIED_TEXT.format(target.host), code="address_denied")
        return target

    async def resolve(self, url: str) -> Target:
        """Look the host up and keep the addresses that may be connected to."""
        target = self.vet(url)
        return target.at(await self.addresses(target.host, target.port))

    async def addresses(self, host: str, port: int) -> tuple[str, ...]:
        """Return the checked addresses of a host; raises `OutboundFailure`."""
        found = await self._lookup(host, port)
        kept = tuple(address for address in found if self._admits(host, port, address))
        if not kept:
            raise OutboundFailure(EndReason.ADDRESS_DENIED, _DENIED_TEXT.format(host))
        return kept

    def async_client(self, *, timeout: float | httpx2.Timeout = 30.0) -> httpx2.AsyncClient:
        """Make a client that connects to checked addresses only and follows no redirect."""
        return httpx2.AsyncClient(
            transport=CheckedTransport(self.addresses, schemes=self._schemes),
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
        )

    def _admits(self, host: str, port: int, address: str) -> bool:
        if host in self._trusted or f"{host}:{port}" in self._trusted:
            return True
        return not denied(address, self._allowed)

    async def _lookup(self, host: str, port: int) -> list[str]:
        unknown = OutboundFailure(EndReason.HOST_UNKNOWN, f"The host {host} is not known.")
        try:
            async with asyncio.timeout(self._resolve_seconds):
                found = await asyncio.get_running_loop().getaddrinfo(
                    host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
                )
        except (OSError, TimeoutError, UnicodeError) as error:
            raise unknown from error
        if not found:
            raise unknown
        return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
