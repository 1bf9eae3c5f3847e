"""A URL taken apart once: from here on only this canonical form is used."""

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

import idna

from codexsys_core.errors import Invalid

_PORTS = {"https": 443, "http": 80}
_REFUSED = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True)
class Target:
    """Where a connection goes: canonical parts, and the checked addresses once they are known."""

    scheme: str
    host: str
    """ASCII, lower case, no brackets, no final dot."""
    port: int
    path: str
    """Path and query."""
    literal: bool
    addresses: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The canonical URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def at(self, addresses: tuple[str, ...]) -> "Target":
        """Return the target with the addresses that were checked."""
        return replace(self, addresses=addresses)


def refused(detail: str) -> Invalid:
    """Make the error for a URL of the wrong form."""
    return Invalid(detail, code="url_refused")


@lru_cache(1024)
def parse(url: str, *, schemes: tuple[str, ...]) -> Target:
    """Take a URL apart; raises `Invalid` (url_refused) for what is not plain."""
    if len(url) > 2048:
        raise refused("The URL is longer than 2048 characters.")
    if _REFUSED.search(url):
        raise refused("The URL holds a space, a backslash or a control character.")
    parts, port = _split(url)
    if parts.scheme not in schemes:
        raise refused(f"The URL must begin with {' or '.join(f'{s}://' for s in schemes)}.")
    if "@" in parts.netloc:
        raise refused("The URL holds a user name or password; give credentials another way.")
    if parts.fragment:
        raise refused("The URL holds a fragment (#).")
    host, literal = _host(parts.hostname or "")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise refused("The URL's path holds characters that are not ASCII; write them as %XX.")
    return Target(parts.scheme, host, port or _PORTS[parts.scheme], path, literal)


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise refused("The URL's host or port is malformed.") from error
    if port == 0:
        raise refused("The URL's port must be between 1 and 65535.")
    return parts, port


def _host(text: str) -> tuple[str, bool]:
    """Return the canonical host and whether it is a literal address."""
    if ":" in text:
        return _ipv6(text), True
    if "%" in text:
        raise refused("The URL's host holds a percent sign.")
    name = _ascii(text).removesuffix(".")
    labels = name.split(".")
    # What ends in a number is an address to the resolver, in one of many notations.
    if _NUMBER.fullmatch(labels[-1]):
        return _ipv4(name), True
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise refused("The URL's host is not a valid host name.")
    return name, False


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text, uts46=True).decode().lower()
    except idna.IDNAError as error:
        raise refused("The URL's host is not a valid international name.") from error


def _ipv4(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError as error:
        raise refused("An address in a URL must be four decimal numbers.") from error


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except AddressValueError as error:
        raise refused("The URL's host is not a valid IPv6 address.") from error
    if address.scope_id is not None:
        raise refused("The URL's address holds a zone.")
    return str(address)
