"""The door's container: leads to the gateways at `doorkeeper.py URL...`, with the token."""

import os
import signal
import socket
import sys

from codexsys_adapters.kubernetes.inside.places import TOKEN, meet_keeper
from codexsys_adapters.walls.control import follow
from codexsys_adapters.walls.door import PORT, Door
from codexsys_adapters.walls.gateways import at_urls


def main(urls: list[str]) -> None:
    """Serve for as long as the pod lives; tell the keeper that we do, and when the token is no longer good."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    token, gateways = TOKEN.read_text(), at_urls(urls)
    listener = socket.create_server(("127.0.0.1", PORT), backlog=64)
    Door(listener, gateways, token).open()
    keeper = meet_keeper("door")
    follow(gateways, token, lambda: keeper.sendall(b"revoked\n"))
    signal.pause()


if __name__ == "__main__":
    main(sys.argv[1:])
