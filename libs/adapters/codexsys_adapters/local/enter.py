"""Enters a process's network namespace and does one thing there.

A program of its own, since a user namespace can be entered only by a process with one thread:
`enter.py PID listen PORT FD` listens on loopback and sends the listener through a descriptor;
`enter.py PID run ARGV…` becomes another program that may administer that network.
"""

import ctypes
import fcntl
import os
import socket
import struct
import sys
import time

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_OWNER = 0xB701  # NS_GET_USERNS
_NET_ADMIN = 12
_CAPABILITIES_V3 = 0x20080522
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_LOOPBACK_SECONDS = 5.0


def main(pid: int, what: str, rest: list[str]) -> None:
    """Enter, and do what is asked."""
    _enter(pid)
    if what == "run":
        if os.geteuid() != 0:
            _keep_network_rights()
        os.execve(rest[0], rest, {})  # noqa: S606 - that is what it is for
    listener = _listen(int(rest[0]))
    with socket.socket(fileno=int(rest[1])) as out:
        socket.send_fds(out, [b"1"], [listener.fileno()])


def _enter(pid: int) -> None:
    network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if os.geteuid() != 0:
        owner = fcntl.ioctl(network, _OWNER)
        _join(owner, _NEW_USER)
    _join(network, _NEW_NETWORK)


def _listen(port: int) -> socket.socket:
    """Listen as soon as bwrap has brought loopback up."""
    end = time.monotonic() + _LOOPBACK_SECONDS
    while True:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen(64)
        except OSError:
            listener.close()
            if time.monotonic() > end:
                raise
            time.sleep(0.002)
        else:
            return listener


def _keep_network_rights() -> None:
    """Carry CAP_NET_ADMIN, which entering the user namespace gave us, over to the next program."""
    bit = 1 << _NET_ADMIN
    header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
    _check(_libc.capset(header, struct.pack("=6I", bit, bit, bit, 0, 0, 0)))
    _check(_libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _NET_ADMIN, 0, 0))


def _join(descriptor: int, kind: int) -> None:
    _check(_libc.setns(descriptor, kind))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_libc = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
