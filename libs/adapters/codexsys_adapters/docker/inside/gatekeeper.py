"""The gate's container: loads the rules of an online phase, reads them back, and says `ready`.

`gatekeeper.py ENDS_AT PLAN`. It alone may change the rules, and lets go of that right before it
says so; the phase joins its network namespace afterwards. Whatever goes wrong, it never says so.
"""

import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path

from codexsys_adapters.walls import nft
from codexsys_adapters.walls.addresses import own_networks, resolvers
from codexsys_adapters.walls.rules import Rules, effective

_BRIDGED = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")


def main(ends_at: float, plan: str) -> None:
    """Close the gate, and stay for as long as somebody may need its namespace."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    told = json.loads(Path(plan).read_text())
    deny = [*told["deny"], *own_networks(Path("/proc/net/route").read_text())]
    asked = resolvers(Path("/etc/resolv.conf").read_text())
    rules = Rules.of(effective(told["allow"], told["asked"]), deny, resolvers=asked)
    nft.load(rules)
    if _BRIDGED.exists() and _BRIDGED.read_text().strip() != "1":
        raise SystemExit("IPv6 is not off")
    _let_go()
    print("ready", flush=True)  # noqa: T201 - the backend waits for this
    time.sleep(max(0.0, ends_at - time.time()))


def _let_go() -> None:
    """Give up the right to change the rules."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing) != 0:
        raise SystemExit("the capabilities cannot be dropped")


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
