"""A process with everything loaded, which becomes a supervisor by forking, and how one asks it.

It serves one backend over a socket: a folder's path, with a descriptor for the answer. It ends when
that backend has gone; its supervisors stay.
"""

import contextlib
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

READY = b"ready"
_START_SECONDS = 30.0
_READY_SECONDS = 600.0  # for an ordinary user, a layer is copied
_TRIES = 3  # a nursery may die with a question, and is then found dead by the next
_LONGEST_PATH = 8192
_PACKAGES = Path(__file__).parents[2]
_BOOT = (
    "import os, sys; os.fork() and os._exit(0); os.setsid(); sys.path.insert(0, sys.argv[1]); "
    "from codexsys_adapters.local.nursery import breed; breed(int(sys.argv[2]))"
)


class Nursery:
    """Starts supervisors, from any thread; starts the process for it when there is none."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._socket: socket.socket | None = None
        self._close = weakref.finalize(self, lambda: None)

    def supervise(self, folder: Path) -> None:
        """Return when a supervisor keeps the folder; OSError says why none does."""
        said = b""
        for _ in range(_TRIES):
            said = said or self._ask(folder)
        if said != READY:
            raise OSError(said.decode(errors="replace") or "no answer")

    def _ask(self, folder: Path) -> bytes:
        """Return what the new supervisor says; nothing when the nursery was gone."""
        ready, tell = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                socket.send_fds(self._process(), [os.fsencode(folder)], [tell])
            except (BrokenPipeError, ConnectionResetError):
                self._forget()
                return b""
            finally:
                os.close(tell)
            return _read(ready)
        finally:
            os.close(ready)

    def _process(self) -> socket.socket:
        with self._mutex:
            if self._socket is None:
                self._socket = _start()
                self._close = weakref.finalize(self, self._socket.close)
            return self._socket

    def _forget(self) -> None:
        with self._mutex:
            self._close()
            self._socket = None


def _start() -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        argv = [sys.executable, "-I", "-S", "-c", _BOOT, str(_PACKAGES), str(theirs.fileno())]
        subprocess.run(
            argv,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
            cwd="/",
            check=True,
            timeout=_START_SECONDS,
        )
    return ours


def _read(descriptor: int) -> bytes:
    """Return what is said until the other end is closed."""
    said = b""
    while select.select([descriptor], [], [], _READY_SECONDS)[0]:
        piece = os.read(descriptor, 4096)
        if not piece:
            return said
        said += piece
    return b"it takes too long"


def breed(descriptor: int) -> None:
    """Fork a supervisor for each request, until nobody can ask any more."""
    supervisor = _load()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as asked:
        while True:
            path, answers, _, _ = socket.recv_fds(asked, _LONGEST_PATH, 1)
            if not path:
                return
            if os.fork() == 0:
                asked.close()
                os.setsid()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                supervisor.main(os.fsdecode(path), answers[0])
            for answer in answers:
                with contextlib.suppress(OSError):
                    os.close(answer)


def _load() -> "ModuleType":
    """Load everything that a supervisor may need: it is what takes time."""
    from codexsys_adapters.local import split, supervisor, unified, watched  # noqa: F401, PLC0415
    from codexsys_adapters.walls import control, door, seccomp  # noqa: F401, PLC0415

    seccomp.program()
    return supervisor
