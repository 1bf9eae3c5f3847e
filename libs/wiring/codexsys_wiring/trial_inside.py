"""Run inside a sandbox by the self-test: tries what must not work there, and says what happened as JSON."""

import contextlib
import errno
import json
import os
import selectors
import signal
import socket
import sys
import time
from pathlib import Path

SECONDS = 1.5
_SHUT = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM)
_PIECE = 1 << 20


def reach(places: list[tuple[str, int]]) -> dict[str, str]:
    """Connect to all places at once: `connected`, `refused`, `shut` (no way there) or `silent`."""
    found: dict[str, str] = {}
    with selectors.DefaultSelector() as waiting:
        for host, port in places:
            name = f"{host}:{port}"
            found[name] = "silent"
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connection.setblocking(False)
            code = connection.connect_ex((host, port))
            if code == errno.EINPROGRESS:
                waiting.register(connection, selectors.EVENT_WRITE, name)
            else:
                found[name] = _word(code)
        end = time.monotonic() + SECONDS
        while waiting.get_map() and time.monotonic() < end:
            for key, _ in waiting.select(max(0.0, end - time.monotonic())):
                found[key.data] = _word(
                    key.fileobj.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # type: ignore[union-attr]
                )
                waiting.unregister(key.fileobj)
    return found


def _word(code: int) -> str:
    if code == 0:
        return "connected"
    return "shut" if code in _SHUT else "refused"


def multiply(most: int) -> int:
    """Start processes that wait until no more can be; return how many there were."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        while len(children) < most:
            child = os.fork()
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return len(children)


def fill(folder: Path, most_mb: int) -> int:
    """Write until no more fits; return how many MiB did."""
    piece = os.urandom(_PIECE)
    for written in range(most_mb):
        try:
            with (folder / f"fill-{written}").open("wb", buffering=0) as file:
                file.write(piece)
                os.fsync(file.fileno())
        except OSError:
            return written
    return most_mb


def swell(most_mb: int) -> int:
    """Take memory, and touch all of it."""
    held = [bytearray(os.urandom(_PIECE)) for _ in range(most_mb)]
    return len(held)


def stay(mark: str) -> None:
    """Leave a process behind that has left our session and minds no signal; its command line has the mark."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    script = "trap '' TERM HUP INT; while :; do sleep 60; done"
    os.execv("/bin/sh", ["/bin/sh", "-c", script, mark])  # noqa: S606 - every image has it


def main(told: dict[str, object]) -> dict[str, object]:
    """Do what is asked for, and return what came of each."""
    said: dict[str, object] = {}
    if isinstance(mark := told.get("stay"), str):
        stay(mark)
    if isinstance(places := told.get("reach"), list):
        said["reach"] = reach([(str(host), int(port)) for host, port in places])
    if isinstance(most := told.get("multiply"), int):
        said["multiply"] = multiply(most)
    if isinstance(most := told.get("fill"), int):
        said["fill"] = fill(Path("/app/output"), most)
    if isinstance(most := told.get("swell"), int):
        said["swell"] = swell(most)
    return said


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(json.loads(sys.argv[1]))) + "\n")
