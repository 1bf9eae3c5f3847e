"""Other processes, and what `/proc` would tell or let be changed."""

import ctypes
import fcntl
import os
import resource
import signal
from collections.abc import Callable, Iterator

from tests.probe.attempt import Table, Told, all_of, each, found, outcome
from tests.probe.files import read, written
from tests.probe.leftovers import mq_open

TABLE = Table()
_NS_GET_PARENT = 0xB702
_libc = ctypes.CDLL(None, use_errno=True)


def _content(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20).decode(errors="replace")
    except OSError:
        return ""


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


@TABLE.attempt("`/proc/1/environ`", "nothing")
def environment_of_the_first(told: Told) -> str:
    return found([text] if (text := _content("/proc/1/environ")) else [])


@TABLE.attempt("`/proc/1/cmdline`: paths, tokens, variables in arguments", "nothing")
def arguments_of_the_first(told: Told) -> str:
    text = _content("/proc/1/cmdline")
    return found(word for word in told.words if word in text)


@TABLE.attempt("environments of all processes, for what belongs to the platform", "nothing")
def environments(told: Told) -> str:
    texts = [_content(f"/proc/{pid}/environ") for pid in _pids()]
    return found(word for word in (*told.words, "CODEXSYS_") if any(word in text for text in texts))


@TABLE.attempt("processes of the host and of other tasks, by their command lines", "nothing")
def processes_of_others(told: Told) -> str:
    texts = [_content(f"/proc/{pid}/cmdline") for pid in _pids()]
    return found(word for word in told.words if any(word in text for text in texts))


@TABLE.attempt("what taking over process 1 would give: other rights, other namespaces", "nothing")
def rights_of_the_first(told: Told) -> str:
    better = [
        name for name in os.listdir("/proc/self/ns") if _space("1", name) != _space("self", name)
    ]
    rights = ("Cap", "Seccomp:", "NoNewPrivs", "Uid", "Gid", "Groups")
    lines = [
        {line for line in _content(f"/proc/{pid}/status").splitlines() if line.startswith(rights)}
        for pid in ("1", "self")
    ]
    return found([*better, *(lines[0] - lines[1])])


def _space(pid: str, name: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/{name}")
    except OSError:  # it cannot be taken over either
        return os.readlink(f"/proc/self/ns/{name}")


@TABLE.attempt("signals to processes of the host", "ESRCH")
def signals_to_the_host(told: Told) -> str:
    return each(lambda pid: os.kill(pid, 0), _outside(told))


def _outside(told: Told) -> list[int]:
    """Return the host's numbers that are not by chance one of ours, too."""
    return [pid for pid in told.pids if pid not in _pids()]


@TABLE.attempt("a pidfd of a process of the host", "ESRCH or EINVAL")
def pidfd_of_the_host(told: Told) -> str:
    return each(os.pidfd_open, _outside(told))


@TABLE.attempt("priority, processors and limits of a process of the host", "ESRCH")
def scheduling_of_the_host(told: Told) -> str:
    calls: list[Callable[[int], object]] = [
        lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
        lambda pid: os.sched_setaffinity(pid, {0}),
        lambda pid: resource.prlimit(pid, resource.RLIMIT_NOFILE, (16, 16)),
    ]
    return all_of(each(call, _outside(told)) for call in calls)


@TABLE.attempt("every file under `/proc/sys`, opened for writing", "nothing")
def write_proc_sys(told: Told) -> str:
    return found(path for path in _files("/proc/sys") if written(path) == "open")


@TABLE.attempt(
    "every other file of `/proc` outside the process folders, opened for writing", "nothing"
)
def write_proc(told: Told) -> str:
    return found(
        path for path in _files("/proc") if os.path.isfile(path) and written(path) == "open"
    )


def _files(top: str) -> Iterator[str]:
    for folder, folders, names in os.walk(top):
        if folder == "/proc":
            own = {"sys", "self", "thread-self", "net", "mounts"}
            folders[:] = [name for name in folders if not name.isdigit() and name not in own]
        yield from (os.path.join(folder, name) for name in names)


@TABLE.attempt("`core_pattern`, which names a program that the host's root runs", "EACCES or EROFS")
def core_pattern(told: Told) -> str:
    return written("/proc/sys/kernel/core_pattern")


@TABLE.attempt(
    "`modprobe`, which names a program that the host's root runs", "EACCES or EROFS or ENOENT"
)
def modprobe_path(told: Told) -> str:
    return written("/proc/sys/kernel/modprobe")


@TABLE.attempt("`sysrq-trigger`", "EACCES or EROFS or ENOENT")
def sysrq_trigger(told: Told) -> str:
    return written("/proc/sysrq-trigger")


@TABLE.attempt(
    "memory and messages of the kernel: `kcore`, `kmsg`, `kallsyms` with addresses", "nothing"
)
def kernel_memory(told: Told) -> str:
    opened = [
        path
        for path in ("/proc/kcore", "/proc/kmsg")
        if read(path) == "open" and os.path.getsize(path)
    ]
    symbols = _content("/proc/kallsyms").splitlines()[:50]
    return found([*opened, *(line for line in symbols if line.split()[0].strip("0"))])


@TABLE.attempt(
    "maps of users and groups of our own namespace, written anew", "EPERM or EACCES or EROFS"
)
def user_maps(told: Told) -> str:
    def write(name: str) -> None:
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write("0 0 1\n")

    return each(write, ("uid_map", "gid_map"))


@TABLE.attempt("a lower score for the kernel's choice of whom to kill", "EACCES")
def oom_score(told: Told) -> str:
    def write() -> None:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write("-1000")

    return outcome(write)


@TABLE.attempt("the namespaces above ours", "EPERM")
def namespaces_above(told: Told) -> str:
    def ask(kind: str) -> None:
        with open(f"/proc/self/ns/{kind}", "rb") as file:
            fcntl.ioctl(file, _NS_GET_PARENT)

    return each(ask, ("user", "pid"))


@TABLE.attempt("everything that we may signal: are we still there, and is the host?", "nothing")
def signal_everybody(told: Told) -> str:
    # kill(-1) reaches whatever is visible: SIGCONT does no harm to what should not have got it.
    os.kill(-1, signal.SIGCONT)
    return found(
        word
        for word in told.words
        if any(word in _content(f"/proc/{pid}/cmdline") for pid in _pids())
    )


@TABLE.attempt("System V shared memory, semaphores and queues of others, by their keys", "ENOENT")
def system_v(told: Told) -> str:
    def get(key: int) -> None:
        found = (_libc.shmget(key, 0, 0), _libc.semget(key, 0, 0), _libc.msgget(key, 0))
        if max(found) < 0:
            raise OSError(ctypes.get_errno(), "nothing there")

    return each(get, told.keys)


@TABLE.attempt("POSIX message queues of others", "ENOENT")
def message_queues(told: Told) -> str:
    return all_of(map(mq_open, told.queues))


@TABLE.attempt(
    "names of the platform in mounts, sockets, locks and maps that `/proc` lists", "nothing"
)
def names_in_proc(told: Told) -> str:
    names = (
        "net/unix",
        "self/maps",
        "self/cgroup",
        "1/cgroup",
        "keys",
        "self/environ",
        "self/limits",
    )
    texts = [_content(f"/proc/{name}") for name in names]
    return found(word for word in told.words if any(word in text for text in texts))
