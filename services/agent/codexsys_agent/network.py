"""The check before the agent starts: nothing but the door can be reached."""

import fcntl
import socket
import struct
from pathlib import Path

_SIOCGIFFLAGS = 0x8913
_IFF_UP = 1


def open_interfaces() -> list[str]:
    """Names of the interfaces other than loopback that are up; none inside a closed sandbox.

    Some kernels put idle tunnels into every namespace: down, and nobody inside may raise them.
    """
    names = {name for _, name in socket.if_nameindex()} | _listed()
    return sorted(name for name in names - {"lo"} if _is_up(name))


def _listed() -> set[str]:
    listing = Path("/proc/net/dev")
    if not listing.exists():
        return set()
    lines = listing.read_text(encoding="ascii", errors="replace").splitlines()[2:]
    return {line.partition(":")[0].strip() for line in lines if ":" in line}


def _is_up(name: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sh14x", name.encode()[:15], 0)
        try:
            answer = fcntl.ioctl(probe, _SIOCGIFFLAGS, request)
        except OSError:
            return True
    flags: int = struct.unpack("16sh14x", answer)[1]
    return bool(flags & _IFF_UP)
