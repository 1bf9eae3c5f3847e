"""The unix sockets at which the gateways of a host are there for doors in containers."""

import secrets
import socket
from pathlib import Path

SUFFIX = ".sock"


def new(folder: Path) -> Path:
    """Return a path for a socket that nobody else uses."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    return folder / f"{secrets.token_hex(4)}{SUFFIX}"


def sweep(folder: Path) -> None:
    """Remove sockets that nobody listens on any more: whoever is killed leaves one."""
    for path in folder.glob(f"*{SUFFIX}"):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except ConnectionRefusedError:
                path.unlink(missing_ok=True)
            except OSError:  # gone, or busy
                continue
