"""What a process gives up, or takes along, before it becomes another program."""

import ctypes
import errno
import os
import struct

_CAPABILITIES_V3 = 0x20080522
_NET_ADMIN = 12
_PR_BOUNDING_DROP, _PR_NO_NEW_PRIVILEGES = 24, 38
_PR_AMBIENT, _AMBIENT_RAISE, _AMBIENT_CLEAR = 47, 2, 4
_MOST_CAPABILITIES = 64


def become(user: int, group: int) -> None:
    """Stop being root, for good: no groups, no capability, none to be had from any program."""
    os.setgroups([])
    for number in range(_MOST_CAPABILITIES):
        if _libc.prctl(_PR_BOUNDING_DROP, number, 0, 0, 0) != 0:
            if ctypes.get_errno() != errno.EINVAL or number == 0:
                _check(-1)
            break  # the kernel knows no more of them
    os.setresgid(group, group, group)
    os.setresuid(user, user, user)
    _check(_libc.prctl(_PR_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0))
    _set_capabilities(0)
    _check(_libc.prctl(_PR_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def keep_network_rights() -> None:
    """Carry CAP_NET_ADMIN, which entering a user namespace gave us, over to the next program."""
    _set_capabilities(1 << _NET_ADMIN)
    _check(_libc.prctl(_PR_AMBIENT, _AMBIENT_RAISE, _NET_ADMIN, 0, 0))


def _set_capabilities(low: int) -> None:
    """Have these effective, permitted and inheritable, and no others."""
    header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
    _check(_libc.capset(header, struct.pack("=6I", low, low, low, 0, 0, 0)))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_libc = ctypes.CDLL(None, use_errno=True)
