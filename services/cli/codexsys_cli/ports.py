"""Find ports that are free."""

import socket
from contextlib import closing

_TRIES = 100


def free_port(host: str, wanted: int) -> int:
    """Return the wanted port, or the next one that is free; 0 finds any."""
    for port in range(wanted, wanted + _TRIES) if wanted else (0,):
        with closing(socket.socket(_family(host), socket.SOCK_STREAM)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError(f"no port from {wanted} to {wanted + _TRIES - 1} is free on {host}")


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
