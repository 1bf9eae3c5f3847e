"""What an earlier phase, or an earlier task of the same tenant, could have left for this one."""

import ctypes
import os
import signal
import socket
import sys
import time
from pathlib import Path

from tests.probe.attempt import Table, Told, found, outcome

TABLE = Table()
MARK = "left-by-an-earlier-one"
PORT = 4711
KEY = 0x4711
_SCRATCH = ("/tmp", "/dev/shm")
_KEPT = ("/app/code", "/app/output", "/app/home")
_libc = ctypes.CDLL(None, use_errno=True)


def leave(kept: bool) -> None:
    """Plant everything that is looked for below; files that are kept by contract only when asked."""
    for folder in (*_SCRATCH, *(_KEPT if kept else ())):
        Path(folder, MARK).write_text(MARK)
    _libc.shmget(KEY, 4096, 0o1666)
    _libc.mq_open(f"/{MARK}".encode(), os.O_CREAT | os.O_RDWR, 0o666, None)
    read, write = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            _stay(write)
        os._exit(0)
    os.close(write)
    os.read(read, 1)


def _stay(ready: int) -> None:
    """Go on listening, whoever asks us to stop."""
    for asked in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(asked, signal.SIG_IGN)
    listeners = [socket.create_server(("127.0.0.1", PORT)), socket.socket(socket.AF_UNIX)]
    listeners[1].bind(f"\0{MARK}")
    listeners[1].listen()
    os.write(ready, b"1")
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    while listeners:
        time.sleep(60)


@TABLE.attempt("files in `/tmp` and `/dev/shm`", "nothing")
def left_scratch(told: Told) -> str:
    return found(f"{folder}/{name}" for folder in _SCRATCH for name in os.listdir(folder))


@TABLE.attempt("files of an earlier task in workspace, output and home", "nothing")
def left_files(told: Told) -> str:
    return found(folder for folder in _KEPT if Path(folder, MARK).exists())


@TABLE.attempt("processes, double-forked and deaf to SIGTERM", "nothing")
def left_processes(told: Told) -> str:
    ours = {1, os.getpid(), os.getppid()}
    return found(
        name for name in os.listdir("/proc") if name.isdigit() and int(name) not in ours | _above()
    )


def _above() -> set[int]:
    """Return our ancestors: the probe's own start."""
    numbers, pid = set(), os.getpid()
    while pid > 1:
        numbers.add(pid)
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pid = int(words[1])
    return numbers


@TABLE.attempt("a TCP listener on loopback", "ECONNREFUSED")
def left_listener(told: Told) -> str:
    return outcome(lambda: socket.create_connection(("127.0.0.1", PORT), timeout=5).close())


@TABLE.attempt("an abstract unix socket", "ECONNREFUSED")
def left_abstract(told: Told) -> str:
    with socket.socket(socket.AF_UNIX) as client:
        return outcome(lambda: client.connect(f"\0{MARK}"))


@TABLE.attempt("System V shared memory", "nothing")
def left_shared_memory(told: Told) -> str:
    return found(Path("/proc/sysvipc/shm").read_text().splitlines()[1:])


@TABLE.attempt("a POSIX message queue", "ENOENT")
def left_queue(told: Told) -> str:
    return mq_open(f"/{MARK}")


def mq_open(name: str) -> str:
    """Open a message queue that should not be there."""

    def call() -> None:
        if _libc.mq_open(name.encode(), os.O_RDWR) < 0:
            raise OSError(ctypes.get_errno(), name)

    return outcome(call)


if __name__ == "__main__":
    leave(kept="kept" in sys.argv)
