"""The door's container: leads to a gateway's socket, and holds the lifeline of the phase beside it.

`doorkeeper.py ENDS_AT`: the token is in /run/codexsys/token, gateways' sockets are in
/run/codexsys/gateways.
"""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

from codexsys_adapters.walls.control import follow
from codexsys_adapters.walls.door import PORT, Door
from codexsys_adapters.walls.gateways import in_folder
from codexsys_adapters.walls.init import LIFELINE

TOKEN = Path("/run/codexsys/token")
GATEWAYS = Path("/run/codexsys/gateways")
_MOST_LINES = 8


def main(ends_at: float) -> None:
    """Serve until the token is revoked, or the deadline."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    token, gateways = TOKEN.read_text(), in_folder(GATEWAYS)
    listener = socket.create_server(("127.0.0.1", PORT), backlog=64)
    Door(listener, gateways, token).open()
    lines = _Lifelines()
    threading.Thread(target=follow, args=(gateways, token, lines.cut), daemon=True).start()
    time.sleep(max(0.0, ends_at - time.time()))


class _Lifelines:
    """Connections of those who end when we say so, or when we are gone."""

    def __init__(self) -> None:
        self._held: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(LIFELINE)
        self._listener.listen(_MOST_LINES)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            line, _ = self._listener.accept()
            self._held = [held for held in self._held if _is_open(held)]
            if len(self._held) < _MOST_LINES:  # only the first of each phase matters
                self._held.append(line)
            else:
                line.close()

    def cut(self) -> None:
        """Tell all, and leave: the token is no longer good."""
        for line in self._held:
            with contextlib.suppress(OSError):
                line.sendall(b"1")
        os._exit(0)


def _is_open(line: socket.socket) -> bool:
    try:
        return line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


if __name__ == "__main__":
    main(float(sys.argv[1]))
