"""Where gateways answer: at URLs, or at the unix sockets that they keep in a folder."""

import http.client
import socket
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: object) -> object:
        """Stand in for what the standard library has from 3.12 on."""
        return method


SUFFIX = ".sock"
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True)
class Gateway:
    """One place where a gateway may answer."""

    open: Callable[[float], http.client.HTTPConnection]
    """Makes a connection, not yet connected, that waits so many seconds for an answer."""
    prefix: str = ""
    """Comes before each path."""


Gateways = Callable[[], Sequence[Gateway]]
"""Looks where gateways are now."""


def rounds(gateways: Gateways) -> Iterator[Gateway | None]:
    """Name one after the other for ever, looking again after each round; None when there is none."""
    while True:
        found = gateways()
        yield from found
        if not found:
            yield None


def at_urls(urls: Sequence[str]) -> Gateways:
    """Return the gateways at these URLs."""
    found = [_at_url(urllib.parse.urlsplit(url)) for url in urls]
    return lambda: found


def in_folder(folder: Path) -> Gateways:
    """Return the gateways whose sockets are in the folder when somebody looks."""
    return lambda: [_at_socket(path) for path in sorted(folder.glob(f"*{SUFFIX}"))]


def _at_url(url: urllib.parse.SplitResult) -> Gateway:
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return Gateway(
        lambda seconds: kind(url.hostname or "", url.port, timeout=seconds), url.path.rstrip("/")
    )


def _at_socket(path: Path) -> Gateway:
    return Gateway(lambda seconds: _UnixConnection(path, seconds))


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("gateway", timeout=seconds)
        self._path = str(path)

    @override
    def connect(self) -> None:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(_CONNECT_SECONDS)
            connected.connect(self._path)
            connected.settimeout(self.timeout)
        except OSError:
            connected.close()
            raise
        self.sock = connected
