"""What a phase's network namespace leads to: nothing, the door, or public addresses."""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codexsys_adapters.local import public

_ENTER = Path(__file__).with_name("enter.py")
_SECONDS = 20.0


@contextlib.contextmanager
def connect(
    setup: dict[str, Any], folder: Path, inside: int, phase: dict[str, Any]
) -> Iterator[None]:
    """Open what the phase is to have, before its program runs; OSError refuses the start."""
    match phase["network"]:
        case "none":
            yield
        case "door":
            with _door(setup, folder, inside):
                yield
        case "public":
            with public.opened(setup, inside, phase["allow"]):
                yield
        case other:
            raise OSError(f"no network {other}")


@contextlib.contextmanager
def _door(setup: dict[str, Any], folder: Path, inside: int) -> Iterator[None]:
    from codexsys_adapters.walls.door import PORT, Door  # noqa: PLC0415 - slow to import, rarely needed
    from codexsys_adapters.walls.gateways import at_urls  # noqa: PLC0415

    token = (folder / "token").read_text()
    door = Door(_listener_inside(inside, PORT), at_urls(setup["gateways"]), token)
    door.open()
    try:
        yield
    finally:
        door.close()


def _listener_inside(inside: int, port: int) -> socket.socket:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = [sys.executable, "-I", "-S", str(_ENTER), str(inside), "listen", str(port)]
        entered = subprocess.run(
            [*argv, str(theirs.fileno())],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            pass_fds=(theirs.fileno(),),
            check=False,
            timeout=_SECONDS,
        )
        if entered.returncode != 0:
            raise OSError(f"no listener inside: {entered.stderr.decode()[-300:]}")
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])
