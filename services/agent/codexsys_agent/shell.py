"""Runs one command in a session of its own and keeps the two ends of its output."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from codexsys_agent.stop import Stop

_KEPT = 32_768
_TIMEOUT_CODE = 124
# A background child may hold the pipe for ever; its parent's exit ends the command.
_DRAIN_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended; exit code 124 means that it was killed at its timeout."""

    code: int
    output: str
    seconds: float


class _Ends:
    """The first and the last bytes of a stream, in bounded memory."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._lost = 0
        self._lock = threading.Lock()

    def add(self, data: bytes) -> None:
        with self._lock:
            room = _KEPT - len(self._head)
            self._head += data[:room]
            self._tail += data[room:] if room < len(data) else b""
            excess = len(self._tail) - _KEPT
            if excess > 0:
                del self._tail[:excess]
                self._lost += excess

    def text(self) -> str:
        with self._lock:
            gap = f"\n[... {self._lost} bytes elided ...]\n".encode() if self._lost else b""
            return bytes(self._head + gap + self._tail).decode("utf-8", "replace")


def run_command(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
    stop: Stop,
    echo: Callable[[bytes], None] | None = None,
) -> Finished:
    """Run to the end, the timeout or a request to stop, whichever comes first."""
    started = time.monotonic()
    process = subprocess.Popen(
        argv,
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    ends = _Ends()
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    reader = threading.Thread(target=_drain, args=(process.stdout, ends, echo), daemon=True)
    reader.start()
    note = ""
    with stop.interrupting(lambda: _kill(process)):
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.wait()
            code = _TIMEOUT_CODE
            note = f"\n[killed: timeout after {timeout:.0f} s]"
    reader.join(_DRAIN_SECONDS)
    return Finished(code, ends.text() + note, time.monotonic() - started)


def _drain(pipe: IO[bytes], ends: _Ends, echo: Callable[[bytes], None] | None) -> None:
    with pipe:
        while data := os.read(pipe.fileno(), 65_536):
            ends.add(data)
            if echo:
                echo(data)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):  # it may have ended by itself just now
        os.killpg(process.pid, signal.SIGKILL)


def child_environment(own: Mapping[str, str]) -> dict[str, str]:
    """The sandbox's own environment without what starts the agent, and quiet."""
    kept = without_agent(own)
    quiet = {"PAGER": "cat", "GIT_PAGER": "cat", "TERM": "dumb", "CI": "1"}
    return {**kept, **quiet, "PIP_PROGRESS_BAR": "off", "TQDM_DISABLE": "1"}


def without_agent(own: Mapping[str, str]) -> dict[str, str]:
    """Take the agent's own packages off the path of what it starts; the task's path stays."""
    kept = dict(own)
    parent = str(Path(__file__).parent.parent)
    entries = [entry for entry in kept.pop("PYTHONPATH", "").split(os.pathsep) if entry]
    others = [entry for entry in entries if entry != parent]
    return {**kept, "PYTHONPATH": os.pathsep.join(others)} if others else kept
