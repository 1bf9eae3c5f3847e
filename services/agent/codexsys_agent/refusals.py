"""Which of some ways out the kernel itself refuses, and at once."""

import contextlib
import errno
import socket
import time
from collections.abc import Iterable

Way = tuple[str, str, int]
"""A protocol (`tcp`, `udp`, `icmp`), an address, and a port."""
_REFUSED = {
    errno.ENETUNREACH,
    errno.EPERM,
    errno.EACCES,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
}
"""How the kernel says no. Everything else is somebody's answer: a port that is closed was reached."""
_KINDS = {
    "tcp": (socket.SOCK_STREAM, 0),
    "udp": (socket.SOCK_DGRAM, 0),
    "icmp": (socket.SOCK_DGRAM, socket.IPPROTO_ICMP),
}
_ECHO = b"\x08\0\0\0\0\0\0\0"
_AT_ONCE_SECONDS, _PAUSE_SECONDS = 1.0, 0.01


def unrefused(ways: Iterable[Way]) -> list[Way]:
    """Try all at the same time; return those that were not refused, answered or not."""
    with contextlib.ExitStack() as stack:
        tried = {way: Attempt(way, stack) for way in ways}
        until = time.monotonic() + _AT_ONCE_SECONDS
        while any(each.waits for each in tried.values()) and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
            for each in tried.values():
                each.look()
        return [way for way, each in tried.items() if each.code not in _REFUSED]


class Attempt:
    """One way, tried."""

    def __init__(self, way: Way, stack: contextlib.ExitStack) -> None:
        kind, host, port = way
        self.code: int | None = 0
        try:
            family, _, _, _, place = socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)[0]
            self._client = stack.enter_context(socket.socket(family, *_KINDS[kind]))
            self._client.setblocking(False)
            self._client.connect(place)
            if kind != "tcp":
                self._client.send(_ECHO)
        except OSError as error:
            self.code = error.errno
        self.look()

    @property
    def waits(self) -> bool:
        """Say whether the kernel has not told yet."""
        return self.code == errno.EINPROGRESS

    def look(self) -> None:
        """See how a connection stands; of a refusal the kernel makes a note before it gives up."""
        if not self.waits:
            return
        code = self._client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        with contextlib.suppress(OSError):
            self._client.getpeername()
            self.code = 0
        self.code = code or self.code
