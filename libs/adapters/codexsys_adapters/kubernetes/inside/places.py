"""Where the programs of a sandbox's pod find each other."""

import contextlib
import json
import socket
import time
from pathlib import Path

KEEPER = "\0codexsys-keeper"
"""In the pod's network namespace: for stages and the door, of which each name is taken once."""
KEPT = Path("/run/codexsys/kept")
"""The keeper's own; no other container has it."""
ASK = KEPT / "ask"
"""Where the keeper answers the worker."""
TOKEN = Path("/run/codexsys/token/token")
STAGES = ("workspace", "setup", "agent", "reader", "collector")
LAST = STAGES[2:]
"""Those that are beside each other, once the network is closed for good."""
_PATIENCE_SECONDS, _PAUSE_SECONDS = 30.0, 0.02


def reach(place: str) -> socket.socket:
    """Connect to the keeper, which may still be starting."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        made = socket.socket(socket.AF_UNIX)
        with contextlib.suppress(OSError):
            made.connect(place)
            return made
        made.close()
        time.sleep(_PAUSE_SECONDS)
    raise SystemExit("the keeper does not answer")


def meet_keeper(name: str) -> socket.socket:
    """Connect to the keeper under a name."""
    made = reach(KEEPER)
    made.sendall(json.dumps({"name": name}).encode() + b"\n")
    return made
