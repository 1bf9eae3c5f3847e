"""Enters a process's network namespace, listens on its loopback and hands the listener back.

A program of its own (`python -I -S enter.py PID PORT FD`): a user namespace can be entered only
by a process with one thread.
"""

import ctypes
import fcntl
import os
import socket
import sys
import time

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_OWNER = 0xB701  # NS_GET_USERNS
_LOOPBACK_SECONDS = 5.0


def main(pid: int, port: int, channel: int) -> None:
    """Listen inside and send the descriptor out."""
    enter(pid)
    listener = _listen(port)
    with socket.socket(fileno=channel) as out:
        socket.send_fds(out, [b"1"], [listener.fileno()])


def enter(pid: int) -> None:
    """Move this process into the network namespace of another one."""
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


def _join(descriptor: int, kind: int) -> None:
    if _libc.setns(descriptor, kind) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_libc = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
