"""The check before the agent starts: nothing but the door can be reached."""

import socket
from pathlib import Path


def open_interfaces() -> list[str]:
    """Names of the network interfaces other than loopback; none inside a closed sandbox."""
    names = {name for _, name in socket.if_nameindex()} | _listed()
    return sorted(names - {"lo"})


def _listed() -> set[str]:
    listing = Path("/proc/net/dev")
    if not listing.exists():
        return set()
    lines = listing.read_text(encoding="ascii", errors="replace").splitlines()[2:]
    return {line.partition(":")[0].strip() for line in lines if ":" in line}
