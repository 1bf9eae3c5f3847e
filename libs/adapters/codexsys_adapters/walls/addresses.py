"""The addresses of this host, as the kernel lists them."""

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
