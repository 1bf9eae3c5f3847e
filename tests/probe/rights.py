"""More rights than were given: users, capabilities, set-uid programs, limits, priorities."""

import ctypes
import errno
import os
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable

from tests.probe.attempt import Table, Told, all_of, each, found, outcome

TABLE = Table()
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 22, 38, 47
_NICE_RT = 1 << 13
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(call: str, *arguments: object) -> str:
    def run() -> None:
        if getattr(_libc, call)(*arguments) < 0:
            raise OSError(ctypes.get_errno(), call)

    return outcome(run)


def _status() -> dict[str, str]:
    with open("/proc/self/status", encoding="utf-8") as file:
        return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}


@TABLE.attempt("being root, or in another group", "nothing")
def users_and_groups(told: Told) -> str:
    numbers = {*os.getresuid(), *os.getresgid(), *os.getgroups()}
    return found(sorted(number for number in numbers if number < 10_000))


@TABLE.attempt("a capability, in any set", "nothing")
def capabilities(told: Told) -> str:
    return found(
        f"{key} {value}"
        for key, value in _status().items()
        if key.startswith("Cap") and value.strip("0")
    )


@TABLE.attempt("no filter of system calls, or new privileges by executing", "nothing")
def walls_are_up(told: Told) -> str:
    status = _status()
    return found(
        name for name, wanted in (("NoNewPrivs", "1"), ("Seccomp", "2")) if status[name] != wanted
    )


@TABLE.attempt("take the filter or `no_new_privs` off again", "EINVAL")
def walls_off(told: Told) -> str:
    return all_of(
        (
            _checked("prctl", _PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0),
            _checked("prctl", _PR_SET_SECCOMP, 0, 0),
        )
    )


@TABLE.attempt("become user 0, group 0", "EPERM or EINVAL")
def become_root(told: Told) -> str:
    return each(_become, (os.setuid, os.setgid))


def _become(change: Callable[[int], None]) -> None:
    change(0)


@TABLE.attempt("choose other groups", "EPERM or EINVAL")
def choose_groups(told: Told) -> str:
    return outcome(lambda: os.setgroups([0]))


@TABLE.attempt("raise capabilities: `capset`, ambient set", "EPERM")
def raise_capabilities(told: Told) -> str:
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6)
    ambient = _checked("prctl", _PR_CAP_AMBIENT, 2, 21, 0, 0)
    return all_of((_checked("capset", header, sets), ambient))


@TABLE.attempt("give a program to root, so that its set-uid bit counts", "EPERM or EINVAL")
def program_of_root(told: Told) -> str:
    path = "/app/home/program"
    shutil.copy("/usr/bin/env", path)
    os.chmod(path, 0o6755)
    answer = outcome(lambda: os.chown(path, 0, 0))
    os.unlink(path)
    return answer


@TABLE.attempt("give a program file capabilities", "EPERM or EOPNOTSUPP")
def file_capabilities(told: Told) -> str:
    path = "/app/home/program"
    shutil.copy("/usr/bin/env", path)
    every = b"\x01\0\0\x02" + b"\xff" * 8 + b"\0" * 8
    answer = outcome(lambda: os.setxattr(path, "security.capability", every))
    os.unlink(path)
    return answer


@TABLE.attempt("gain root by each set-uid program that is there, `sudo` and `su` first", "nothing")
def set_uid_programs(told: Told) -> str:
    folders = ("/usr/bin", "/usr/sbin", "/usr/local/bin")
    paths = [
        os.path.join(folder, name)
        for folder in folders
        if os.path.isdir(folder)
        for name in os.listdir(folder)
    ]
    chosen = [
        path
        for path in paths
        if os.path.isfile(path) and os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID)
    ]
    return found(path for path in chosen if _gains(path))


def _gains(path: str) -> bool:
    """Say whether the program, held in its first instant, is somebody else than we are."""
    with subprocess.Popen(
        [path], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={}
    ) as started:
        try:
            with open(f"/proc/{started.pid}/status", encoding="utf-8") as file:
                lines = [line.split()[1:] for line in file if line.startswith(("Uid", "Gid"))]
        except OSError:
            lines = []
        started.kill()
    return any(len(set(numbers)) > 1 for numbers in lines)


@TABLE.attempt("make a device: a disk, kernel memory", "EPERM or EROFS")
def make_devices(told: Told) -> str:
    kinds = ((stat.S_IFBLK, 8, 0), (stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 1, 11))
    return each(_make_device, kinds)


def _make_device(kind: tuple[int, int, int]) -> None:
    mode, major, minor = kind
    os.mknod("/tmp/device", mode | 0o666, os.makedev(major, minor))


@TABLE.attempt("raise a hard limit", "EPERM")
def raise_limits(told: Told) -> str:
    kinds = (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)
    return each(_raise, [kind for kind in kinds if resource.getrlimit(kind)[1] >= 0])


def _raise(number: int) -> None:
    try:
        resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error:  # what Python makes of EPERM
        raise PermissionError(errno.EPERM, str(error)) from error


@TABLE.attempt("go before others: negative niceness, real time, real-time I/O", "EPERM or EACCES")
def priorities(told: Told) -> str:
    return all_of(
        (
            outcome(lambda: os.setpriority(os.PRIO_PROCESS, 0, -10)),
            outcome(lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
            _checked("syscall", ctypes.c_long(_IOPRIO_SET), 1, 0, _NICE_RT),
        )
    )


_IOPRIO_SET = 251 if os.uname().machine == "x86_64" else 30
