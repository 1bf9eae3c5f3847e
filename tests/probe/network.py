"""Addresses, protocols and socket families that lead somewhere else than to the door."""

import errno
import os
import socket
import struct

from tests.probe.attempt import Table, Told, all_of, each, found, outcome

TABLE = Table()
_METADATA = ("169.254.169.254:80", "169.254.170.2:80", "100.100.100.200:80", "192.0.0.192:80")
_METADATA_NAMES = (
    "metadata.google.internal",
    "metadata.azure.internal",
    "instance-data.ec2.internal",
)
_PRIVATE = ("10.0.0.1:443", "10.96.0.1:443", "172.17.0.1:2375", "192.168.0.1:80", "192.168.65.2:80")
_PUBLIC = ("1.1.1.1:443", "8.8.8.8:53", "140.82.121.4:22")
_ALLOWED = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
_CLOSED = "ENETUNREACH"
_UNSENT = "ENETUNREACH or EPERM"


def connects(host: str, port: int) -> str:
    """Connect by TCP to an address of either family."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as client:
        client.settimeout(5)
        return outcome(lambda: _connect(client, host, port))


def _connect(client: socket.socket, host: str, port: int) -> None:
    client.connect((host, port))
    # On loopback the kernel may give a client the very port that it connects to: it meets itself.
    if client.getsockname() == client.getpeername():
        raise ConnectionRefusedError(errno.ECONNREFUSED, "nobody but ourselves")


def _each(addresses: tuple[str, ...] | list[str]) -> str:
    split = (address.rpartition(":") for address in addresses)
    return all_of(connects(host, int(port)) for host, _, port in split)


def _sends(host: str, port: int) -> str:
    """Send a datagram and wait for what comes back of it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    def call() -> None:
        client.connect((host, port))
        client.send(b"x")
        client.recv(1)

    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(3)
        return outcome(call)


@TABLE.attempt("an interface beside loopback", agent="nothing")
def interfaces(told: Told) -> str:
    return found(name for _, name in socket.if_nameindex() if name != "lo")


@TABLE.attempt(
    "metadata services: 169.254.169.254, 100.100.100.200 and others",
    agent=_CLOSED,
    setup="ECONNREFUSED",
)
def metadata(told: Told) -> str:
    return _each(_METADATA)


@TABLE.attempt(
    "metadata services at IPv6: fd00:ec2::254, fd20:ce::254",
    "ENETUNREACH or EADDRNOTAVAIL or EAFNOSUPPORT",
)
def metadata_ipv6(told: Told) -> str:
    return all_of(connects(host, 80) for host in ("fd00:ec2::254", "fd20:ce::254"))


@TABLE.attempt("metadata services by name", agent="unresolved", setup="unresolved or ECONNREFUSED")
def metadata_names(told: Told) -> str:
    return all_of(map(_named, _METADATA_NAMES))


def _named(name: str) -> str:
    try:
        address = socket.getaddrinfo(name, 80, socket.AF_INET)[0][4][0]
    except socket.gaierror:
        return "unresolved"
    return connects(str(address), 80)


@TABLE.attempt("metadata and loopback as IPv4 in IPv6", "ENETUNREACH or ECONNREFUSED")
def mapped_addresses(told: Told) -> str:
    ports = told.loopback[:1] or [80]
    return all_of((connects("::ffff:169.254.169.254", 80), connects("::ffff:127.0.0.1", ports[0])))


@TABLE.attempt("private, carrier and cluster ranges", agent=_CLOSED, setup="ECONNREFUSED")
def private_ranges(told: Told) -> str:
    return _each(_PRIVATE)


@TABLE.attempt("public addresses", agent=_CLOSED)
def public_addresses(told: Told) -> str:
    return _each(_PUBLIC)


@TABLE.attempt("the host's loopback, and listeners in other sandboxes", "ECONNREFUSED")
def host_loopback(told: Told) -> str:
    hosts = ("127.0.0.1", "127.0.0.2", "0.0.0.0")
    return all_of(connects(host, port) for host in hosts for port in told.loopback)


@TABLE.attempt("the host's loopback at IPv6", "ECONNREFUSED or EADDRNOTAVAIL")
def host_loopback_ipv6(told: Told) -> str:
    return all_of(connects("::1", port) for port in told.loopback)


@TABLE.attempt(
    "the host's own addresses and the platform's servers at them",
    agent=_CLOSED,
    setup="ECONNREFUSED",
)
def platform_servers(told: Told) -> str:
    return _each(told.addresses)


@TABLE.attempt(
    "the platform's servers through the gateway of our own network",
    agent="nothing or ENETUNREACH",
    setup="ECONNREFUSED or nothing",
)
def servers_through_the_gateway(told: Told) -> str:
    ports = [*told.loopback, *(int(address.rpartition(":")[2]) for address in told.addresses)]
    return all_of(connects(gateway, port) for gateway in _gateways() for port in ports)


def _gateways() -> list[str]:
    with open("/proc/net/route", encoding="ascii") as file:
        raw = [line.split()[2] for line in file.readlines()[1:]]
    found = [socket.inet_ntoa(bytes.fromhex(text)[::-1]) for text in raw if text.strip("0")]
    return [
        *found,
        *(f"{address.rpartition('.')[0]}.{last}" for address in found for last in (1, 2, 3, 4)),
    ]


@TABLE.attempt("a name resolved", agent="unresolved")
def resolve(told: Told) -> str:
    return all_of(map(_named, ("example.com", "localhost.localdomain", "kubernetes.default.svc")))


@TABLE.attempt("a resolver asked directly", agent=_UNSENT)
def resolvers(told: Told) -> str:
    return all_of(_sends(host, 53) for host in ("8.8.8.8", "169.254.169.253", "10.96.0.10"))


@TABLE.attempt(
    "a resolver at a private or metadata address", agent=_UNSENT, setup="EPERM or ECONNREFUSED"
)
def private_resolvers(told: Told) -> str:
    return all_of(_sends(host, 53) for host in ("169.254.169.253", "10.96.0.10", "169.254.169.254"))


@TABLE.attempt("datagrams to the host's addresses", agent=_UNSENT, setup="EPERM or ECONNREFUSED")
def datagrams_to_the_host(told: Told) -> str:
    split = (address.rpartition(":") for address in told.addresses)
    return all_of(_sends(host, int(port)) for host, _, port in split)


@TABLE.attempt("ICMP echo", "EACCES or ENETUNREACH or EPERM or ECONNREFUSED")
def icmp(told: Told) -> str:
    def call() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP) as client:
            client.settimeout(3)
            client.connect(("169.254.169.254", 0))
            client.send(b"\x08\0\0\0\0\0\0\0")
            client.recv(64)

    return outcome(call)


@TABLE.attempt("IPv6, anywhere", "ENETUNREACH or EADDRNOTAVAIL or EAFNOSUPPORT")
def ipv6(told: Told) -> str:
    return all_of(connects(host, 443) for host in ("2606:4700:4700::1111", "2001:db8::1"))


@TABLE.attempt("IPv6 multicast to neighbours", setup="nothing")
def multicast(told: Told) -> str:
    names = [(number, name) for number, name in socket.if_nameindex() if name != "lo"]
    return found(name for number, name in names if _multicast(number) == "open")


def _multicast(number: int) -> str:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
        return outcome(lambda: client.sendto(b"x", ("ff02::1", 9, 0, number)))


@TABLE.attempt("raw sockets", "EPERM")
def raw_sockets(told: Told) -> str:
    return all_of(
        _family(family, socket.SOCK_RAW, protocol)
        for family, protocol in ((socket.AF_INET, 255), (socket.AF_INET6, 58))
    )


@TABLE.attempt("packet sockets", "EAFNOSUPPORT")
def packet_sockets(told: Told) -> str:
    return all_of(
        _family(socket.AF_PACKET, kind, 0) for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM)
    )


@TABLE.attempt("vsock, which leads to the machine's own host", "EAFNOSUPPORT")
def vsock(told: Told) -> str:
    return _family(socket.AF_VSOCK, socket.SOCK_STREAM, 0)


@TABLE.attempt("any other family: ALG, XDP, CAN, Bluetooth, TIPC, RDS …", "nothing")
def other_families(told: Told) -> str:
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW)
    return found(
        family
        for family in range(1, 64)
        for kind in kinds
        if family not in _ALLOWED and _family(family, kind, 0) == "open"
    )


def _family(family: int, kind: int, protocol: int) -> str:
    return outcome(lambda: socket.socket(family, kind, protocol).close())


@TABLE.attempt("netlink: an address of our own choice", "EPERM")
def netlink_address(told: Told) -> str:
    address = struct.pack("=BBBBi", socket.AF_INET, 32, 0, 0, 1) + struct.pack(
        "=HH4s", 8, 2, b"\x0a\x09\x09\x09"
    )
    return _netlink(0, 20, address)


@TABLE.attempt("netlink: a route of our own choice", "EPERM")
def netlink_route(told: Told) -> str:
    return _netlink(0, 24, struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 254, 4, 0, 1, 0))


@TABLE.attempt("netlink: the packet filter's rules, read or flushed", "EPERM")
def netlink_filter(told: Told) -> str:
    return all_of(_netlink(12, (10 << 8) | kind, struct.pack("=BBH", 0, 0, 0)) for kind in (1, 2))


@TABLE.attempt("netlink: the kernel's audit log", "EPERM or ECONNREFUSED or EPROTONOSUPPORT")
def netlink_audit(told: Told) -> str:
    return _netlink(9, 1000, b"")


def _netlink(protocol: int, kind: int, body: bytes) -> str:
    """Ask for one change, and read the kernel's acknowledgement."""

    def call() -> None:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as asks:
            asks.settimeout(3)
            asks.bind((0, 0))
            create = 0x1 | 0x4 | 0x400  # request, acknowledge, create
            asks.send(struct.pack("=IHHII", 16 + len(body), kind, create, 1, 0) + body)
            answer = asks.recv(4096)
            number = -struct.unpack_from("=i", answer, 16)[0]
            if number:
                raise OSError(number, os.strerror(number))

    return outcome(call)


@TABLE.attempt("abstract unix sockets of the host and of other sandboxes", "ECONNREFUSED")
def abstract_sockets(told: Told) -> str:
    return all_of(map(_abstract, told.abstract))


def _abstract(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        return outcome(lambda: client.connect(f"\0{name}"))


@TABLE.attempt("listen at an address of the host", "EADDRNOTAVAIL or EACCES")
def listen_at_the_host(told: Told) -> str:
    hosts = {address.rpartition(":")[0] for address in told.addresses}
    return each(_listens, hosts)


def _listens(host: str) -> None:
    socket.create_server((host, 0)).close()


@TABLE.attempt("anything that listens on loopback, on any port", agent="8700", setup="nothing")
def loopback_ports(told: Told) -> str:
    listening = []
    for port in range(1, 65536):
        with socket.socket() as client:
            client.bind(("127.0.0.2", 0))  # or it would meet itself now and then
            if client.connect_ex(("127.0.0.1", port)) not in (
                errno.ECONNREFUSED,
                errno.EADDRNOTAVAIL,
            ):
                listening.append(port)
    return found(listening)
