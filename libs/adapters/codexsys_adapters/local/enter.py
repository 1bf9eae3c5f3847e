"""Enters a process's network namespace and does one thing there, in a child between fork and exec.

A child, since a user namespace can be entered only by a process with one thread.
"""

import ctypes
import fcntl
import os
import socket
import time
from dataclasses import dataclass
from typing import NoReturn

from codexsys_adapters.walls import rights

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_OWNER = 0xB701  # NS_GET_USERNS
_LOOPBACK_SECONDS = 5.0
_ANSWER_SECONDS = 20.0


@dataclass(frozen=True)
class Within:
    """For `preexec_fn`: the program runs in the network of a process, and may administer it."""

    process: int

    def __call__(self) -> None:
        """Do it; whoever waits for us reads on standard error what went wrong."""
        try:
            _enter(self.process)
            if os.geteuid() != 0:
                rights.keep_network_rights()
        except OSError as error:
            os.write(2, f"{error}\n".encode())  # what Python buffers may be locked for ever here
            os._exit(1)


def listener_within(process: int, port: int) -> socket.socket:
    """Return a listener on loopback in the network of a process."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            _send_listener(process, port, theirs)
        theirs.close()
        ours.settimeout(_ANSWER_SECONDS)
        try:
            said, descriptors, _, _ = socket.recv_fds(ours, 4096, 1)
        finally:
            os.waitpid(child, 0)
    if not descriptors:
        raise OSError(f"no listener inside: {said.decode(errors='replace')}")
    return socket.socket(fileno=descriptors[0])


def _send_listener(process: int, port: int, out: socket.socket) -> NoReturn:
    try:
        _enter(process)
        listener = _listen(port)
        socket.send_fds(out, [b"1"], [listener.fileno()])
    except OSError as error:
        out.send(str(error).encode()[:4096])
    finally:
        os._exit(0)


def _enter(process: int) -> None:
    network = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
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


def _join(descriptor: int, kind: int) -> None:
    if _libc.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_libc = ctypes.CDLL(None, use_errno=True)
