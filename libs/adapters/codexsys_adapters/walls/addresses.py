"""The addresses of this host, as the kernel lists them."""

import contextlib
import ipaddress
from pathlib import Path

TRIE = Path("/proc/net/fib_trie")


def own_addresses(trie: str) -> set[str]:
    """Return every address of this host, at each of which a service of ours may listen."""
    found, last = set(), ""
    for line in trie.splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            last = words[1]
        elif words[-2:] == ["host", "LOCAL"]:
            found.add(last)
    return found


def own_networks(routes: str) -> list[str]:
    """Return the networks that this namespace is a member of: others' containers are there."""
    found = []
    for line in routes.splitlines()[1:]:
        words = line.split()
        destination, mask = (int(words[number], 16).to_bytes(4, "little") for number in (1, 7))
        if any(destination):
            network = f"{ipaddress.IPv4Address(destination)}/{ipaddress.IPv4Address(mask)}"
            found.append(str(ipaddress.IPv4Network(network)))
    return found


def resolvers(text: str) -> list[str]:
    """Return the name servers that a container was given."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["nameserver"]:
            with contextlib.suppress(ValueError):  # IPv6, which is off
                found.append(str(ipaddress.IPv4Address(words[1])))
    return found
