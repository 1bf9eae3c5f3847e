"""The check before the agent starts: nothing but the door can be reached."""

import fcntl
import json
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from codexsys_agent.refusals import Way, unrefused

_SIOCGIFFLAGS = 0x8913
_IFF_UP = 1
_ROUTES, _NAMES = Path("/proc/net/route"), Path("/etc/resolv.conf")
_FAR: tuple[Way, ...] = (
    ("tcp", "1.1.1.1", 443),
    ("udp", "1.1.1.1", 53),
    ("icmp", "1.1.1.1", 0),
    ("tcp", "169.254.169.254", 80),
    ("tcp", "10.0.0.1", 443),
    ("udp", "172.16.0.1", 53),
    ("tcp", "192.168.0.1", 80),
    ("udp", "224.0.0.1", 5353),
    ("tcp", "2606:4700:4700::1111", 443),
    ("udp", "2606:4700:4700::1111", 53),
    ("tcp", "fd00:ec2::254", 80),
)
"""Public, metadata's, private and many, in both families."""
_LOOPBACK = ("127.", "::1")
_OPEN = 9


def ways_out(beside: Iterable[Way] = ()) -> list[str]:
    """Return what leads out of here; nothing inside a closed sandbox.

    Mostly loopback is all there is, and there is nothing to try. A pod has more, behind rules.
    """
    interfaces = open_interfaces()
    if not interfaces:
        return []
    ways = dict.fromkeys((*_FAR, *_near(interfaces), *beside))
    out = (way for way in ways if not way[1].startswith(_LOOPBACK))
    return [f"{kind} {host} {port}" for kind, host, port in unrefused(out)]


def open_interfaces() -> list[str]:
    """Names of the interfaces other than loopback that are up; none inside a closed sandbox.

    Some kernels put idle tunnels into every namespace: down, and nobody inside may raise them.
    """
    names = {name for _, name in socket.if_nameindex()} | _listed()
    return sorted(name for name in names - {"lo"} if _is_up(name))


def main() -> int:
    """Say what leads out; ways to try beside the usual ones come in, `[kind, address, port]` as JSON."""
    found = ways_out((kind, host, port) for kind, host, port in json.load(sys.stdin))
    sys.stdout.write(", ".join(found))
    return _OPEN if found else 0


def _near(interfaces: list[str]) -> Iterator[Way]:
    """Name who is around: the next station of each route, a neighbour, the name servers."""
    for destination, station in (line.split()[1:3] for line in _lines_of(_ROUTES)[1:]):
        first = int(station, 16) or int(destination, 16) + (1 << 24)  # last byte first
        host = socket.inet_ntoa(struct.pack("<I", first & 0xFFFFFFFF))
        yield from (("tcp", host, 443), ("udp", host, 53))
    for words in map(str.split, _lines_of(_NAMES)):
        if words[:1] == ["nameserver"]:
            yield from (("tcp", words[1], 53), ("udp", words[1], 53))
    for name in interfaces:
        yield "udp", f"ff02::1%{name}", 5353


def _lines_of(path: Path) -> list[str]:
    return path.read_text("ascii", errors="replace").splitlines() if path.exists() else []


def _listed() -> set[str]:
    lines = _lines_of(Path("/proc/net/dev"))[2:]
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
