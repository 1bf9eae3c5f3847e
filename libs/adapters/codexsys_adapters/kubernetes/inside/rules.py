"""Sets the rules of the pod's network, reads them back, and ends: `rules.py TOLD`, as JSON.

`closed` lets nothing out of the pod; `open` public addresses and what is allowed, if the keeper says
that a phase wants that; `locked` nothing but the door's user to the gateways. Nobody gets in, ever.
Whatever goes wrong, the pod does not go on.
"""

import ipaddress
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codexsys_adapters.kubernetes.inside.places import meet_keeper
from codexsys_adapters.walls import nft
from codexsys_adapters.walls.addresses import own_networks, resolvers
from codexsys_adapters.walls.rules import Rules, effective

_TABLES = ("table inet codexsys", "table inet codexsys_in")
_NOBODY_IN = """table inet codexsys_in {
chain input { type filter hook input priority 0; policy drop;
iifname "lo" accept
ct state established,related accept
}
}
"""


@dataclass(frozen=True)
class Closed:
    """Nothing gets out, but of one user to some addresses where these are told."""

    user: int = 0
    gateways: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """Return what nft reads."""
        rules = "\n".join(self._rules)
        return (
            "table inet codexsys {\nchain output { type filter hook output priority 0; policy drop;\n"
            f"{rules}\n}}\n}}\n"
        )

    @property
    def _rules(self) -> list[str]:
        ways = (address.rpartition(":") for address in self.gateways)
        return [
            'oifname "lo" accept',
            *(
                f"meta skuid {self.user} ip daddr {ipaddress.IPv4Address(host)} tcp dport {int(port)} accept"
                for host, _, port in ways
            ),
            "reject with icmpx type no-route",  # as if there were no network
        ]

    def found_in(self, listed: dict[str, Any]) -> bool:
        """Say whether what nft lists is this table, whole and in force."""
        entries = listed.get("nftables", [])
        chains = [entry["chain"] for entry in entries if "chain" in entry]
        rules = sum("rule" in entry for entry in entries)
        return [chain.get("policy") for chain in chains] == ["drop"] and rules == len(self._rules)


def main(told: dict[str, Any]) -> None:
    """Put the rules in the place of those that are there, in one step."""
    fresh = "".join(f"{table} {{}}\ndelete {table}\n" for table in _TABLES)
    asked = _asked() if told["kind"] == "open" else None
    nft.load(_closed(told) if asked is None else _opened(told, asked), first=fresh + _NOBODY_IN)


def _asked() -> list[str] | None:
    """Ask the keeper what the coming phases want to reach; None when they want nothing."""
    with meet_keeper("rules") as keeper, keeper.makefile("rb") as lines:
        asked: list[str] | None = json.loads(lines.readline())
    return asked


def _closed(told: dict[str, Any]) -> Closed:
    return Closed(told["user"], tuple(told["gateways"])) if told["kind"] == "locked" else Closed()


def _opened(told: dict[str, Any], asked: list[str]) -> Rules:
    own = own_networks(Path("/proc/net/route").read_text())
    deny = [*told["deny"], *own]
    names = resolvers(Path("/etc/resolv.conf").read_text())
    return Rules.of(effective(told["allow"], asked), deny, resolvers=names)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
