"""The system calls that a sandboxed program may not make, as a classic BPF program."""

import errno
import platform
import struct
from dataclasses import dataclass

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
_NAMESPACE_FLAGS = 0x7E020000
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_FAMILIES = (1, 2, 10, 16)  # UNIX, INET, INET6, NETLINK; vsock would leave the machine

# pidfd_getfd, io_uring, the new mount family, quotactl_fd: the same numbers everywhere
_COMMON = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 443, 467)
_CLONE3 = 435


@dataclass(frozen=True)
class _Machine:
    audit: int
    clone: int
    ioctl: int
    socket: int
    refused: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(
        audit=0xC000003E,
        clone=56,
        ioctl=16,
        socket=41,
        refused=(
            *(272, 308, 155, 165, 166, 161),  # unshare setns pivot_root mount umount2 chroot
            *(101, 310, 311, 304),  # ptrace process_vm_readv/writev open_by_handle_at
            *(321, 298, 323, 248, 249, 250),  # bpf perf_event_open userfaultfd keys
            *(175, 313, 176, 246, 320),  # kernel modules and kexec
            *(169, 167, 168, 179, 163, 103),  # reboot swapon swapoff quotactl acct syslog
            *(164, 227, 159, 305, 172, 173),  # clocks, iopl, ioperm
        ),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        ioctl=29,
        socket=198,
        refused=(
            *(97, 268, 41, 40, 39, 51),
            *(117, 270, 271, 265),
            *(280, 241, 282, 217, 218, 219),
            *(105, 273, 106, 104, 294),
            *(142, 224, 225, 60, 89, 116),
            *(170, 112, 171, 266),
        ),
    ),
}


def program(machine: str = "") -> bytes:
    """Return the filter for `bwrap --seccomp`; KeyError on a machine we have no numbers for."""
    numbers = _MACHINES[machine or platform.machine()]
    steps = [
        _step(_LOAD, _ARCHITECTURE),
        *_refuse_unless_equal(numbers.audit),
        _step(_LOAD, _NUMBER),
        _step(_AT_LEAST, _X32, 0, 1),
        _fail(errno.ENOSYS),
        *_when(_CLONE3, errno.ENOSYS),
    ]
    for number in (*numbers.refused, *_COMMON):
        steps += _when(number, errno.EPERM)
    steps += _clone(numbers.clone) + _ioctl(numbers.ioctl) + _socket(numbers.socket)
    steps.append(_step(_RETURN, _ALLOW))
    return b"".join(steps)


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


def _fail(number: int) -> bytes:
    return _step(_RETURN, _ERRNO | number)


def _when(number: int, error: int) -> list[bytes]:
    return [_step(_EQUAL, number, 0, 1), _fail(error)]


def _refuse_unless_equal(value: int) -> list[bytes]:
    return [_step(_EQUAL, value, 1, 0), _step(_RETURN, _KILL)]


def _clone(number: int) -> list[bytes]:
    return [
        _step(_EQUAL, number, 0, 4),
        _step(_LOAD, _FIRST),
        _step(_ANY_BIT, _NAMESPACE_FLAGS, 0, 1),
        _fail(errno.EPERM),
        _step(_RETURN, _ALLOW),
    ]


def _ioctl(number: int) -> list[bytes]:
    inner = [_step(_LOAD, _SECOND)]
    for request in _TERMINAL_INJECTION:
        inner += _when(request, errno.EPERM)
    inner.append(_step(_RETURN, _ALLOW))
    return [_step(_EQUAL, number, 0, len(inner)), *inner]


def _socket(number: int) -> list[bytes]:
    inner = [_step(_LOAD, _FIRST)]
    for family in _FAMILIES:
        inner += [_step(_EQUAL, family, 0, 1), _step(_RETURN, _ALLOW)]
    inner.append(_fail(errno.EAFNOSUPPORT))
    return [_step(_EQUAL, number, 0, len(inner)), *inner]
