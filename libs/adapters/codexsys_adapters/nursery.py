"""A process with a program loaded, which becomes that program by forking, and how one asks it.

It serves one owner over a socket: a question, with a descriptor for the answer. It ends when that
owner has gone; what it has become stays.
"""

import contextlib
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import codexsys_core

TRIES = 3
"""A nursery may die with a question, and is then found dead by the next."""
_START_SECONDS = 30.0
_LONGEST_QUESTION = 16_384
_PACKAGES = sorted({str(Path(each).parents[1]) for each in (__file__, codexsys_core.__file__)})
_BOOT = (
    "import os, sys; os.fork() and os._exit(0); os.setsid(); sys.path[:0] = sys.argv[3:]; "
    "from codexsys_adapters.nursery import breed; breed(sys.argv[1], int(sys.argv[2]))"
)


class Nursery:
    """Starts a program, from any thread; starts the process for it when there is none.

    The program is a module with `load()`, which is called once and loads what takes time, and
    `main(question, answer)`, which has a session of its own and never returns.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self._mutex = threading.Lock()
        self._socket: socket.socket | None = None
        self._close = weakref.finalize(self, lambda: None)

    def ask(self, question: bytes, answer: int) -> None:
        """Let a new process answer on a descriptor; where that is closed unanswered, ask again (`TRIES`)."""
        try:
            socket.send_fds(self._process(), [question], [answer])
        except (BrokenPipeError, ConnectionResetError):
            self._forget()

    def _process(self) -> socket.socket:
        with self._mutex:
            if self._socket is None:
                self._socket = _start(self._program)
                self._close = weakref.finalize(self, self._socket.close)
            return self._socket

    def _forget(self) -> None:
        with self._mutex:
            self._close()
            self._socket = None


def _start(program: str) -> socket.socket:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BOOT, program, str(theirs.fileno()), *_PACKAGES],
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


def breed(name: str, descriptor: int) -> None:
    """Fork the program for each question, until nobody can ask any more."""
    program = importlib.import_module(name)
    program.load()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as asked:
        while True:
            question, answers, _, _ = socket.recv_fds(asked, _LONGEST_QUESTION, 1)
            if not question:
                return
            if os.fork() == 0:
                asked.close()
                os.setsid()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                program.main(question, answers[0])
            for answer in answers:
                with contextlib.suppress(OSError):
                    os.close(answer)
