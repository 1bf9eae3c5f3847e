"""The system calls that a sandboxed program may not make: as a classic BPF program, and by name."""

import errno
import json
import platform
import struct
from dataclasses import dataclass
from functools import cache
from typing import Any

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24  # offsets in struct seccomp_data
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
_NAMESPACE_FLAGS = 0x7E020000
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_FAMILIES = (1, 2, 10, 16)  # UNIX, INET, INET6, NETLINK; vsock would leave the machine
_LAST_FAMILY = 45
_LOW_HALF = 0xFFFFFFFF

# by name: the number on x86_64, and on aarch64
_REFUSED = {
    "unshare": (272, 97), "setns": (308, 268), "pivot_root": (155, 41), "mount": (165, 40),
    "umount2": (166, 39), "chroot": (161, 51), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "open_by_handle_at": (304, 265), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "quotactl": (179, 60),
    "acct": (163, 89), "syslog": (103, 116), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "kcmp": (312, 272), "fanotify_init": (300, 262), "name_to_handle_at": (303, 264),
}  # fmt: skip
_REFUSED_ON_X86 = {"iopl": 172, "ioperm": 173}
_COMMON = {  # the same numbers everywhere
    "io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428,
    "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432, "fspick": 433,
    "pidfd_getfd": 438, "mount_setattr": 442, "quotactl_fd": 443, "open_tree_attr": 467,
}  # fmt: skip
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
        refused=(*(number for number, _ in _REFUSED.values()), *_REFUSED_ON_X86.values()),
    ),
    "aarch64": _Machine(
        audit=0xC00000B7,
        clone=220,
        ioctl=29,
        socket=198,
        refused=tuple(number for _, number in _REFUSED.values()),
    ),
}


@cache
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
    for number in (*numbers.refused, *_COMMON.values()):
        steps += _when(number, errno.EPERM)
    steps += _clone(numbers.clone) + _ioctl(numbers.ioctl) + _socket(numbers.socket)
    steps.append(_step(_RETURN, _ALLOW))
    return b"".join(steps)


def profile() -> str:
    """Return the same bans as a container engine takes them."""
    on_x86 = _REFUSED_ON_X86 if platform.machine() == "x86_64" else {}
    rules = [
        _rule([*_REFUSED, *on_x86, *_COMMON], errno.EPERM),
        _rule(["clone3"], errno.ENOSYS),
        *(
            _rule(["clone"], errno.EPERM, _bits(0, bit, bit))
            for bit in (1 << number for number in range(32))
            if bit & _NAMESPACE_FLAGS
        ),
        *(
            _rule(["ioctl"], errno.EPERM, _bits(1, _LOW_HALF, request))
            for request in _TERMINAL_INJECTION
        ),
        *(
            _rule(["socket"], errno.EAFNOSUPPORT, _bits(0, _LOW_HALF, family))
            for family in range(_LAST_FAMILY + 1)
            if family not in _FAMILIES
        ),
        _rule(
            ["socket"],
            errno.EAFNOSUPPORT,
            {"index": 0, "value": _LAST_FAMILY, "op": "SCMP_CMP_GT"},
        ),
    ]
    return json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


def _rule(names: list[str], error: int, *arguments: dict[str, Any]) -> dict[str, Any]:
    action = {"action": "SCMP_ACT_ERRNO", "errnoRet": error}
    return {"names": names, "args": list(arguments), **action}


def _bits(index: int, mask: int, wanted: int) -> dict[str, Any]:
    """Match an argument whose bits under a mask are these."""
    return {"index": index, "value": mask, "valueTwo": wanted, "op": "SCMP_CMP_MASKED_EQ"}


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
