"""The check before the agent starts, in network namespaces of which each is closed in another way, or not."""

import json
import subprocess
from pathlib import Path

import pytest

import codexsys_agent
from codexsys_adapters.kubernetes.inside.rules import Closed

AGENT = Path(codexsys_agent.__file__).parent
NODE = "10.9.0.1"
PLUGGED = f"""
ip link set lo up
ip link add pod type veth peer name node
ip link set node up
ip address add 10.9.0.5/24 dev pod
ip link set pod up
ip route add default via {NODE}
"""

OF_ONE_FAMILY = Closed().text.replace("table inet", "table ip6").replace("icmpx", "icmpv6")


def looked(setting: str, *, rules: str = "", beside: list[list[object]] | None = None) -> str:
    """Return what leads out of a namespace of its own that was made like this."""
    script = (
        f"set -e\n{setting}\nnft -f - <<'RULES'\n{rules}\nRULES\nexec python3 -I {AGENT} network"
    )
    command = ["unshare", "--map-root-user", "--net", "--mount", "bash", "-c", script]
    ran = subprocess.run(
        command, input=json.dumps(beside or []), capture_output=True, text=True, check=False
    )
    assert ran.returncode == (9 if ran.stdout else 0), ran.stderr
    return ran.stdout


def test_loopback_alone_leads_nowhere() -> None:
    assert looked("ip link set lo up") == ""


def test_an_interface_behind_rules_leads_nowhere() -> None:
    closed = Closed(user=20001, gateways=("10.9.0.7:8090",))
    assert looked(PLUGGED, rules=closed.text, beside=[["tcp", "10.9.0.7", 8090]]) == ""


@pytest.mark.parametrize(
    ("rules", "found"),
    [
        ("", "tcp 10.9.0.1 443"),
        (
            Closed().text.replace('"lo" accept', '"lo" accept\nudp dport 53 accept'),
            "udp 1.1.1.1 53",
        ),
        (Closed().text.replace("no-route", "port-unreachable"), "tcp 169.254.169.254 80"),
        (Closed().text.replace("reject with icmpx type no-route", ""), "tcp 1.1.1.1 443"),
        (OF_ONE_FAMILY, "udp 172.16.0.1 53"),
    ],
    ids=["none", "but-for-names", "as-if-answered", "in-silence", "of-one-family"],
)
def test_whatever_is_not_refused_at_once_leads_out(rules: str, found: str) -> None:
    assert found in looked(PLUGGED, rules=rules)


def test_what_one_user_may_reach_is_found_by_its_address_alone() -> None:
    rules = Closed(user=0, gateways=("10.9.0.7:8090",)).text
    assert looked(PLUGGED, rules=rules) == ""
    assert looked(PLUGGED, rules=rules, beside=[["tcp", "10.9.0.7", 8090]]) == "tcp 10.9.0.7 8090"
