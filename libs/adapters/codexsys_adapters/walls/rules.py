"""Which addresses an online phase may reach, as rules for nft: pure translation and a check."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

_NEVER = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)  # fmt: skip


@dataclass(frozen=True)
class Allowed:
    """A network and the one port of it that may be reached."""

    network: ipaddress.IPv4Network
    port: int

    @classmethod
    def parse(cls, text: str) -> "Allowed | None":
        """Read `cidr:port`; None for IPv6, which sandboxes do not have."""
        network, _, port = text.rpartition(":")
        parsed = ipaddress.ip_network(network.replace("[", "").replace("]", ""), strict=False)
        return cls(parsed, int(port)) if isinstance(parsed, ipaddress.IPv4Network) else None

    def within(self, other: "Allowed") -> bool:
        """Say whether the other one allows this, too."""
        return self.port == other.port and self.network.subnet_of(other.network)


def effective(operator: Iterable[str], asked: Sequence[str]) -> list[Allowed]:
    """Return what may be reached: the operator's setting, which a phase's own can only narrow."""
    granted = [entry for text in operator if (entry := Allowed.parse(text))]
    wanted = [entry for text in asked if (entry := Allowed.parse(text))]
    if not asked:
        return granted
    return [entry for entry in wanted if any(entry.within(grant) for grant in granted)]


@dataclass(frozen=True)
class Rules:
    """A table for `nft -f -`, and what has to be found when it is read back."""

    text: str
    denied: int
    rules: int

    @classmethod
    def of(
        cls, allowed: Iterable[Allowed], deny: Iterable[str], *, resolvers: Iterable[str]
    ) -> "Rules":
        """Make the table: what is denied beside the fixed ranges are the platform's own addresses."""
        addresses = (ipaddress.ip_network(text, strict=False) for text in deny)
        fixed = (ipaddress.IPv4Network(text) for text in _NEVER)
        own = (network for network in addresses if isinstance(network, ipaddress.IPv4Network))
        denied = [str(network) for network in ipaddress.collapse_addresses([*fixed, *own])]
        rules = [
            'oifname "lo" accept',
            *(
                f"ip daddr {ipaddress.IPv4Address(resolver)} {protocol} dport 53 accept"
                for resolver in resolvers
                for protocol in ("udp", "tcp")
            ),
            *(f"ip daddr {entry.network} tcp dport {entry.port} accept" for entry in allowed),
            "ip daddr @denied meta l4proto tcp reject with tcp reset",
            "ip daddr @denied reject",
            "meta nfproto ipv4 meta l4proto { tcp, udp } accept",
        ]
        text = (
            "table inet codexsys {\n"
            "set denied { type ipv4_addr; flags interval; elements = {"
            + ", ".join(denied)
            + "}; }\nchain output { type filter hook output priority 0; policy drop;\n"
            + "\n".join(rules)
            + "\n}\n}\n"
        )
        return cls(text, len(denied), len(rules))

    def found_in(self, listed: dict[str, Any]) -> bool:
        """Say whether what `nft -j list ruleset` shows is this table, whole and in force."""
        entries = listed.get("nftables", [])
        chains = [entry["chain"] for entry in entries if "chain" in entry]
        sets = [entry["set"] for entry in entries if "set" in entry]
        return (
            len(chains) == 1
            and chains[0].get("hook") == "output"
            and chains[0].get("policy") == "drop"
            and len(sets) == 1
            and len(sets[0].get("elem", [])) == self.denied
            and sum("rule" in entry for entry in entries) == self.rules
        )
