"""The gate's container: loads the rules of an online phase, reads them back, and says `ready`.

`gatekeeper.py ENDS_AT PLAN`. It alone may change the rules, and lets go of that right before it
says so; the phase joins its network namespace afterwards. Whatever goes wrong, it never says so.
"""

import contextlib
import ctypes
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from codexsys_adapters.walls.rules import Rules, effective

_LOADER = ("/opt/codexsys/loader", "--inhibit-cache", "--library-path", "/opt/codexsys/lib")
_NFT = (*_LOADER, "/opt/codexsys/libexec/nft")
_SECONDS = 20.0
_BRIDGED = Path("/proc/sys/net/ipv6/conf/all/disable_ipv6")


def main(ends_at: float, plan: str) -> None:
    """Close the gate, and stay for as long as somebody may need its namespace."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    told = json.loads(Path(plan).read_text())
    deny = [*told["deny"], *_own_networks(Path("/proc/net/route").read_text())]
    resolvers = _resolvers(Path("/etc/resolv.conf").read_text())
    rules = Rules.of(effective(told["allow"], told["asked"]), deny, resolvers=resolvers)
    _nft(["-f", "-"], rules.text)
    listed = json.loads(_nft(["-j", "list", "table", "inet", "codexsys"]))
    if not rules.found_in(listed):
        raise SystemExit("the network's rules are not as they were loaded")
    if _BRIDGED.exists() and _BRIDGED.read_text().strip() != "1":
        raise SystemExit("IPv6 is not off")
    _let_go()
    print("ready", flush=True)  # noqa: T201 - the backend waits for this
    time.sleep(max(0.0, ends_at - time.time()))


def _own_networks(routes: str) -> list[str]:
    """Return the networks that this namespace is a member of: others' containers are there."""
    found = []
    for line in routes.splitlines()[1:]:
        words = line.split()
        destination, mask = (int(words[number], 16).to_bytes(4, "little") for number in (1, 7))
        if any(destination):
            network = f"{ipaddress.IPv4Address(destination)}/{ipaddress.IPv4Address(mask)}"
            found.append(str(ipaddress.IPv4Network(network)))
    return found


def _resolvers(text: str) -> list[str]:
    """Return the name servers that the engine gave us."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"]:
            with contextlib.suppress(ValueError):  # IPv6, which is off
                found.append(str(ipaddress.IPv4Address(words[1])))
    return found


def _nft(arguments: list[str], text: str = "") -> str:
    ran = subprocess.run(
        [*_NFT, *arguments],
        env={},
        input=text.encode(),
        capture_output=True,
        check=False,
        timeout=_SECONDS,
    )
    if ran.returncode != 0:
        raise SystemExit(f"nft: {ran.stderr.decode(errors='replace')[-300:]}")
    return ran.stdout.decode()


def _let_go() -> None:
    """Give up the right to change the rules."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    nothing = (ctypes.c_uint32 * 6)()
    if ctypes.CDLL(None, use_errno=True).capset(header, nothing) != 0:
        raise SystemExit("the capabilities cannot be dropped")


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
