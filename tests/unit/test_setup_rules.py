"""The rules of an online phase: what is allowed, what is denied, and how a gap is noticed."""

from typing import Any

import pytest

from codexsys_adapters.walls.addresses import own_addresses
from codexsys_adapters.walls.rules import Rules, effective

TRIE = """Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 8.8.4.9
        /32 host LOCAL
"""


@pytest.mark.parametrize(
    ("operator", "asked", "expected"),
    [
        (["10.1.0.0/16:443"], [], ["10.1.0.0/16"]),
        (["10.1.0.0/16:443"], ["10.1.2.0/24:443"], ["10.1.2.0/24"]),
        (["10.1.0.0/16:443"], ["10.1.2.0/24:80"], []),
        (["10.1.0.0/16:443"], ["0.0.0.0/0:443"], []),
        ([], ["10.1.2.3/32:443"], []),
        (["[fd00::]/8:443"], [], []),
    ],
)
def test_a_phase_can_only_narrow(
    operator: list[str], asked: list[str], expected: list[str]
) -> None:
    assert [str(entry.network) for entry in effective(operator, asked)] == expected


def test_own_addresses() -> None:
    assert own_addresses(TRIE) == {"127.0.0.1", "8.8.4.9"}


def test_allowed_comes_before_denied_before_public() -> None:
    text = Rules.of(
        effective(["10.1.0.0/16:443"], []), ["8.8.4.9", "::1"], resolvers=["10.0.2.3"]
    ).text
    order = ["policy drop", 'oifname "lo" accept', "10.1.0.0/16 tcp dport 443 accept"]
    order += ["@denied reject", "meta nfproto ipv4 meta l4proto { tcp, udp } accept"]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "8.8.4.9/32" in text
    assert "169.254.0.0/16" in text


def listed(rules: Rules) -> list[dict[str, Any]]:
    return [
        {"chain": {"hook": "output", "policy": "drop"}},
        {"set": {"elem": ["x"] * rules.denied}},
        *([{"rule": {}}] * rules.rules),
    ]


def test_what_was_read_back_must_be_whole() -> None:
    rules = Rules.of([], [], resolvers=["10.0.2.3"])
    whole = listed(rules)
    assert rules.found_in({"nftables": whole})
    for gap in range(len(whole)):
        assert not rules.found_in({"nftables": whole[:gap] + whole[gap + 1 :]})
    open_chain = [{"chain": {"hook": "output", "policy": "accept"}}, *whole[1:]]
    assert not rules.found_in({"nftables": open_chain})
