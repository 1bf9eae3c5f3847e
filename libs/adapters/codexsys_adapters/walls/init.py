"""The first process of a phase's container: runs the phase's program and tells how it went.

What the phase says leaves as lines on our own output, which the engine keeps: `s` when the
program runs, `r` when its port answers, `o` with output in base64, `w` with how many times less
the container should weigh, `e` with the end as JSON. Nothing else in the container can write
there: while the program runs, this process cannot be traced or looked into, and the kernel lets
nobody kill the first process of a container from inside.
"""

import base64
import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codexsys_adapters.walls import groups
from codexsys_adapters.walls.yielding import Yielding

LIFELINE = "\0codexsys-door"
STOP = signal.SIGUSR1
"""Asks the program to stop. SIGTERM is the engine's own way of ending a container."""
_ORDERS = {STOP, signal.SIGTERM}
_GRACE_SECONDS = 5.0
_FLUSH_SECONDS = 5.0
_REAP_SECONDS = 5.0
_LIFELINE_SECONDS = 20.0
_TICK_MILLISECONDS = 250
_BUSY_SECONDS = 0.02
_HELD_SECONDS = 0.03
_CHUNK = 12_000  # a line of 16,000 letters; the engine cuts at 16,384
_MOST_HELD = 1 << 20
_ERROR_BYTES = 4096
_OPEN_FILES = 65_536
_TAIL = 500
_PR_SET_DUMPABLE = 4


class Init:
    """One phase, from its start to its end."""

    easier_to_kill = "500"
    """How much rather than us the kernel kills the program for memory; never less than we have."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._left: int = plan["cap"]
        self._told = bytearray()
        self._held = bytearray()
        self._held_since = 0.0
        self._tail = b""
        self._errors = b""
        self._reason: str | None = None
        self._detail = ""
        self._status: int | None = None
        self._deadline = time.monotonic() + min(plan["seconds"], plan["ends_at"] - time.time())
        self._lifeline: socket.socket | None = None
        self._port: int | None = plan["port"]
        self._yielding = Yielding(groups.used, self._weigh, share=plan["share"])

    def run(self) -> None:
        """Run the program to its end."""
        os.set_blocking(1, False)
        before = groups.counts()
        with contextlib.ExitStack() as stack:
            wake = _wakened(stack)
            if self._plan["door"] and not self._hold_lifeline(stack):
                self._end({"reason": "sandbox_failed", "detail": "the door does not answer"})
                return
            pipes = self._launch(stack)
            if pipes is None:
                self._end({"reason": "sandbox_failed", "detail": self._detail})
                return
            self._tell(b"s", b"")
            self._watch(pipes, wake)
            _kill_all()
            self._drain(pipes)
        self._end(self._judge(before))

    def _hold_lifeline(self, stack: contextlib.ExitStack) -> bool:
        """Connect to the door; it says on this connection when the sandbox has to end."""
        end = time.monotonic() + _LIFELINE_SECONDS
        while time.monotonic() < end:
            line = stack.enter_context(socket.socket(socket.AF_UNIX))
            try:
                line.connect(LIFELINE)
            except OSError:  # it is still starting
                line.close()
                time.sleep(0.01)
                continue
            self._lifeline = line
            return True
        return False

    def _launch(self, stack: contextlib.ExitStack) -> dict[int, bool] | None:
        """Start the program; return its pipes, True for the one that counts, or None."""
        out, child_out = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        err, child_err = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        gate, release = os.pipe2(os.O_CLOEXEC)
        failed, fail = os.pipe2(os.O_CLOEXEC)
        together = self._plan["output"] != "binary"
        self._program = os.fork()
        if self._program == 0:
            os.set_blocking(child_out, True)
            os.set_blocking(child_err, True)
            self._become(gate, child_out, child_out if together else child_err, fail)
        for descriptor in (child_out, child_err, gate, fail):
            os.close(descriptor)
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        os.write(release, b"1")
        os.close(release)
        with os.fdopen(failed, "rb") as file:
            self._detail = file.read().decode(errors="replace")
        if self._detail:
            return None
        for descriptor in (out, err):
            stack.callback(os.close, descriptor)
        return {out: True, err: False}

    def _become(self, gate: int, out: int, err: int, fail: int) -> None:
        """Be the program, in the child; never returns."""
        argv, env = self._plan["argv"], self._plan["env"]
        try:
            os.setsid()
            Path("/proc/self/oom_score_adj").write_text(self.easier_to_kill)
            os.dup2(out, 1)
            os.dup2(err, 2)
            os.chdir(self._plan["cwd"])
            os.umask(0o022)
            _bound(resource.RLIMIT_CORE, 0)
            _bound(resource.RLIMIT_NOFILE, _OPEN_FILES)
            for number in (signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ORDERS)
            os.read(gate, 1)
            self._close_in()
            os.execvpe(argv[0], argv, env)  # noqa: S606 - that is what it is for
        except OSError as error:
            os.write(fail, f"{argv[0]}: {error.strerror}".encode())
        os._exit(127)

    def _close_in(self) -> None:
        """Take from the program, in the child, what the container does not keep from it."""

    def _watch(self, pipes: dict[int, bool], wake: int) -> None:
        """Follow the program until it is dead."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        for pipe in pipes:
            poll.register(pipe, select.POLLIN)
        if self._lifeline:
            poll.register(self._lifeline, select.POLLIN)
        while not self._reap():
            self._hand_on()
            if self._flush() >= _MOST_HELD:  # the engine is slow: let the program wait for it
                select.select([], [1], [], _BUSY_SECONDS)
                ready = set()
            else:
                wait = _BUSY_SECONDS * 1000 if self._told or self._held else _TICK_MILLISECONDS
                ready = {number for number, _ in poll.poll(wait)}
            if wake in ready:
                os.read(wake, 64)
            for pipe in ready & pipes.keys():
                if self._read(pipe, counts=pipes[pipe]) == b"":
                    poll.unregister(pipe)
            if self._lifeline and self._lifeline.fileno() in ready:
                self._cut()
            if self._port and _answers(self._port):
                self._port = None
                self._tell(b"r", b"")
            self._enforce()
            self._yielding.look()

    def _cut(self) -> None:
        """Hear why the door let go of us."""
        if self._lifeline and self._lifeline.recv(1):
            self._reason = "signalled"
        else:
            self._reason, self._detail = "sandbox_lost", "the door is gone"
        self._lifeline = None

    def _obey(self) -> None:
        """Do what is asked from outside; whoever asks from inside has a number here."""
        while asked := signal.sigtimedwait(_ORDERS, 0):
            if asked.si_pid != 0:
                continue
            if asked.si_signo == STOP:
                self._signal(signal.SIGTERM)
            else:
                self._reason = self._reason or "sandbox_lost"
                self._detail = "the container was stopped, though not by us"

    def _enforce(self) -> None:
        """Stop the program, or kill it, where something says so."""
        self._obey()
        if time.monotonic() >= self._deadline and self._reason is None:
            self._reason, self._deadline = "deadline", time.monotonic() + _GRACE_SECONDS
            self._signal(signal.SIGTERM)
        elif self._reason and (self._reason != "deadline" or time.monotonic() >= self._deadline):
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._status is None:
            os.kill(self._program, number)

    def _reap(self) -> bool:
        """Take what has died off; say whether the program is among it."""
        for pid, status in _dead():
            if pid == self._program:
                self._status = status
        return self._status is not None

    def _read(self, pipe: int, *, counts: bool) -> bytes | None:
        """Return what came, nothing at the end, None when there is nothing now."""
        try:
            data = os.read(pipe, 65_536)
        except BlockingIOError:
            return None
        if counts:
            self._keep(data)
        else:
            self._errors = (self._errors + data)[-_ERROR_BYTES:]
        return data

    def _keep(self, data: bytes) -> None:
        kept = data[: self._left]
        self._tail = (self._tail + data)[-_TAIL:]
        if self._plan["output"] == "none":
            return
        self._left -= len(kept)
        if kept and not self._held:
            self._held_since = time.monotonic()
        self._held += kept
        if len(kept) < len(data):
            self._reason = self._reason or "output_limit"

    def _hand_on(self, *, everything: bool = False) -> None:
        """Make lines of what is held: whole ones at once, the rest soon; each costs the engine."""
        if time.monotonic() - self._held_since >= _HELD_SECONDS:
            everything = True
        while len(self._held) >= _CHUNK or (self._held and everything):
            self._tell(b"o", base64.b64encode(self._held[:_CHUNK]))
            del self._held[:_CHUNK]

    def _drain(self, pipes: dict[int, bool]) -> None:
        """Take what is left, once nothing can write any more."""
        for pipe, counts in pipes.items():
            while self._read(pipe, counts=counts):
                pass
        self._hand_on(everything=True)

    def _weigh(self, less: int) -> None:
        self._tell(b"w", str(less).encode())

    def _tell(self, kind: bytes, text: bytes) -> None:
        self._told += kind + text + b"\n"

    def _flush(self) -> int:
        """Write what the engine takes now; return how much is left."""
        while self._told:
            try:
                written = os.write(1, self._told[:65_536])
            except BlockingIOError:
                break
            except BrokenPipeError:  # nobody will ever read it
                self._told.clear()
                break
            del self._told[:written]
        return len(self._told)

    def _end(self, end: dict[str, Any]) -> None:
        """Say how it ended; wait for the engine to take it, within a bound."""
        self._tell(b"e", json.dumps(end).encode())
        until = time.monotonic() + _FLUSH_SECONDS
        if self._reason != "deadline":
            until += 5 * _FLUSH_SECONDS
        poll = select.poll()
        poll.register(1, select.POLLOUT)
        while self._told and time.monotonic() < until:
            poll.poll(_TICK_MILLISECONDS)
            self._flush()

    def _judge(self, before: tuple[int, int]) -> dict[str, Any]:
        status = self._status or 0
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else 128 - code
        oom, refused = (now - then for now, then in zip(groups.counts(), before, strict=True))
        common: dict[str, Any] = {"oom_killed": oom > 0, "code": code, "refused": refused}
        if self._reason:
            return common | {"reason": self._reason, "detail": self._detail}
        words = (self._errors or self._tail).decode(errors="replace").strip()[-_TAIL:]
        return common | {"exit_code": code, "words": words}


def _answers(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1.0)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _bound(what: int, value: int) -> None:
    """Lower a limit; one that is lower already stays."""
    _, most = resource.getrlimit(what)
    bound = value if most == resource.RLIM_INFINITY else min(value, most)
    resource.setrlimit(what, (bound, bound))


def _wakened(stack: contextlib.ExitStack) -> int:
    """Return a pipe on which the end of a process shows; keep orders until we look."""
    wake, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    stack.callback(os.close, wake)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_BLOCK, _ORDERS)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return wake


def _dead() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def _kill_all() -> None:
    """Kill every other process of the container, and wait until none is left."""
    end = time.monotonic() + _REAP_SECONDS
    while time.monotonic() < end:
        try:
            os.kill(-1, signal.SIGKILL)
            for _ in _dead():
                pass
        except ProcessLookupError:
            return
        time.sleep(0.002)
