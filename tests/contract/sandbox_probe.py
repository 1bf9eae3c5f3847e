# ruff: noqa: PTH115, PTH208
"""Runs inside a sandbox, tries what must not be possible, and prints what it saw as JSON."""

import ctypes
import errno
import json
import os
import re
import socket
import sys
from pathlib import Path

_libc = ctypes.CDLL(None, use_errno=True)
_NEW = {"user": 0x10000000, "net": 0x40000000, "mount": 0x00020000, "pid": 0x20000000}


def refused(result: int) -> str | None:
    """Return the name of the error, None when the call went through."""
    return None if result >= 0 else errno.errorcode[ctypes.get_errno()]


def calls() -> dict[str, str | None]:
    seen = {f"unshare_{name}": refused(_libc.unshare(flag)) for name, flag in _NEW.items()}
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    seen["setns"] = refused(_libc.setns(own, 0))
    seen["mount"] = refused(_libc.mount(b"none", b"/tmp", b"tmpfs", 0, b""))
    seen["umount"] = refused(_libc.umount2(b"/tmp", 0))
    seen["pivot_root"] = refused(_libc.syscall(155, b"/tmp", b"/tmp"))
    seen["ptrace"] = refused(_libc.ptrace(16, 1, 0, 0))
    seen["bpf"] = refused(_libc.syscall(321, 0, 0, 0))
    seen["io_uring"] = refused(_libc.syscall(425, 1, 0))
    seen["clone3"] = refused(_libc.syscall(435, 0, 0))
    seen["clone_user"] = refused(_libc.syscall(56, _NEW["user"] | 17, 0, 0, 0, 0))
    seen["setuid"] = refused(_libc.setuid(0))
    seen["vsock"] = family(40)
    seen["packet"] = family(17)
    return seen


def family(number: int) -> str | None:
    try:
        socket.socket(number, socket.SOCK_STREAM).close()
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return None


def writes(paths: list[str]) -> list[str]:
    """Return the paths that could be opened for writing, or made."""
    opened = []
    for path in paths:
        try:
            os.close(os.open(path, os.O_WRONLY | (0 if os.path.lexists(path) else os.O_CREAT)))
        except OSError:
            continue
        opened.append(path)
    return opened


def connects(address: str) -> str:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=5):
            return "open"
    except TimeoutError:
        return "timeout"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))


def readable(path: str) -> str:
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError as error:
        return f"!{errno.errorcode[error.errno or 0]}"


def processes() -> dict[str, str]:
    numbers = [name for name in os.listdir("/proc") if name.isdigit()]
    return {name: readable(f"/proc/{name}/cmdline") for name in numbers}


def main() -> None:
    told = json.loads(Path("/app/input/probe.json").read_text())
    status = dict(
        line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines()
    )
    report = {
        "uid": os.getuid(),
        "groups": os.getgroups(),
        "uid_map": Path("/proc/self/uid_map").read_text().split(),
        "capabilities": {key: status[key] for key in status if key.startswith("Cap")},
        "no_new_privs": status["NoNewPrivs"],
        "seccomp": status["Seccomp"],
        "environ": dict(os.environ),
        "environ_1": readable("/proc/1/environ"),
        "cmdline_1": readable("/proc/1/cmdline"),
        "processes": processes(),
        "descriptors": [
            os.readlink(f"/proc/self/fd/{name}")
            for name in os.listdir("/proc/self/fd")
            if os.path.lexists(f"/proc/self/fd/{name}")
        ],
        "interfaces": sorted(name for _, name in socket.if_nameindex()),
        "calls": calls(),
        "writable": writes(told["write"]),
        "visible": [path for path in told["see"] if os.path.lexists(path)],
        "connects": {address: connects(address) for address in told["connect"]},
        "devices": sorted(os.listdir("/dev")),
        "sockets": re.findall(r"(/\S+)", readable("/proc/net/unix")),
        "python": sys.executable,
    }
    print(json.dumps(report))


main()
