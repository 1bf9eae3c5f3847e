"""The addresses that the platform never connects to, unless its operator allows them by name."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

# An explicit list, because `ipaddress.is_global` calls NAT64, 6to4, multicast and others public.
_DENIED: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network; 0.0.0.0 connects to loopback
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT; also Alibaba's metadata 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host
        "169.254.0.0/16",  # link-local and metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Of IPv6 only 2000::/3 is given out; the rest holds loopback, v4-compatible, NAT64
        # (64:ff9b::/96, 64:ff9b:1::/48), ULA with metadata, link- and site-local, multicast.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # Teredo, benchmarking, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)


def parse(text: str) -> IPv4Address | IPv6Address:
    """Read an address; a v4-mapped one is the IPv4 address that it connects to."""
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def denied(text: str, allowed: Iterable[Network] = ()) -> bool:
    """Say whether the platform must not connect to this address; the allow list wins."""
    address = parse(text)
    if any(address in network for network in allowed):
        return False
    return any(address in network for network in _DENIED)
