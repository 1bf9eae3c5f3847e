"""One phase as the supervisor runs it: start, feed the network, capture, watch, end, note."""

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from codexsys_adapters.disks.image import FOLDERS, Disk
from codexsys_adapters.local import cage, limits
from codexsys_adapters.local.capture import Capture
from codexsys_adapters.local.groups import Counts
from codexsys_adapters.local.launch import Launch
from codexsys_adapters.local.usage import DiskUsage, FolderUsage, UnknownUsage, Usage
from codexsys_adapters.walls import seccomp

_GRACE_SECONDS = 5.0
_START_SECONDS = 30.0
_DEATH_SECONDS = 10.0
_TICK_MILLISECONDS = 100
_OPEN = 0o755
_TIMES_MEMORY = 4  # of address space, where nothing else bounds memory at once

Connect = Callable[[int, dict[str, Any]], contextlib.AbstractContextManager[None]]
"""Opens a phase's network: gets the process inside and the phase; raises OSError to refuse."""


class Phase:
    """A phase that has not run yet, runs, or has run. `run` belongs to the main thread."""

    def __init__(self, folder: Path, setup: dict[str, Any], name: str, group: limits.Group) -> None:
        self.started = threading.Event()
        self.ended = threading.Event()
        self.end: dict[str, Any] = {}
        self._folder = folder
        self._setup = setup
        self._told: dict[str, Any] = json.loads((folder / "phases" / f"{name}.json").read_text())
        self._group = group
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._asked: list[str] = []
        self._inside = 0

    def ask(self, what: str) -> None:
        """Ask the running phase to `stop`, or to die at once; from any thread."""
        self._asked.append(what)
        with contextlib.suppress(BlockingIOError):  # it is awake already
            os.write(self._woken, b"1")

    def run(self, connect: Connect) -> None:
        """Run it from start to end, and write down how it ended."""
        try:
            self.end = self._run(connect)
        except Exception as error:
            traceback.print_exc()
            self.end = {"reason": "sandbox_failed", "detail": str(error)}
        finally:
            self._group.kill()
            self._note()
            self.started.set()
            self.ended.set()

    def _run(self, connect: Connect) -> dict[str, Any]:
        before = self._group.counts()
        self._open_folders()
        with contextlib.ExitStack() as stack:
            status, gate, process = self._launch(stack)
            capture = stack.enter_context(self._capture(process))
            self._inside, rest = _inside(status, process)
            if not self._inside:
                return self._failed_to_start(process, capture)
            inside = stack.enter_context(_pidfd(self._inside))
            self._group.look(self._inside)
            try:
                stack.enter_context(connect(self._inside, self._told))
            except OSError as error:
                self._kill(process)
                return {"reason": "sandbox_failed", "detail": f"network: {error}"}
            os.write(gate, b"1")
            self.started.set()
            usage = stack.enter_context(self._usage())
            reason = self._watch(process, capture, usage)
            code = _exit_code(process)
            set_up = b"exit-code" in rest + _read_all(status)
            self._group.kill()
            select.select([inside], [], [], _DEATH_SECONDS)  # with it goes all that is inside
            capture.drain()
            full = code != 0 and usage.full
        if reason is None and not set_up and code < 128:
            return {"reason": "sandbox_failed", "detail": capture.tail()}
        return self._judge(reason or capture.exceeded, code, before, full=full)

    def _open_folders(self) -> None:
        """Let the sandbox into its own folders again, which an earlier phase may have closed."""
        for name in FOLDERS:
            place = self._folder / "files" / name
            if place.stat().st_mode & _OPEN != _OPEN:
                place.chmod(_OPEN)

    def _launch(self, stack: contextlib.ExitStack) -> tuple[int, int, "subprocess.Popen[bytes]"]:
        """Start what becomes bwrap; return its status, its gate and the process."""
        caged = cage.build(self._setup, self._told, self._folder)
        status, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        stack.callback(os.close, status)
        gate = _gate(stack)
        arguments = _in_memory(stack, "\0".join(caged.arguments).encode() + b"\0")
        filtered = _in_memory(stack, seccomp.program())
        bwrap = [
            *("/usr/bin/bwrap", "--args", str(arguments), "--seccomp", str(filtered)),
            *("--block-fd", str(gate), "--json-status-fd", str(tell), "--", *caged.command),
        ]
        process = subprocess.Popen(
            bwrap,
            env={},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self._told["output"] == "binary" else subprocess.STDOUT,
            pass_fds=(arguments, filtered, gate, tell),
            cwd="/",
            preexec_fn=self._prepared(caged.stage),  # noqa: PLW1509 - a child that does nothing else
        )
        os.close(tell)
        stack.callback(self._kill, process)
        return status, gate, process

    def _prepared(self, stage: dict[str, str]) -> Launch:
        user = (self._setup["uid"], self._setup["gid"]) if self._setup["root"] else None
        return Launch(self._group.join, stage, self._rlimits(), user)

    def _rlimits(self) -> dict[int, int]:
        allowed = self._setup["limits"]
        rlimits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_NOFILE: 65_536}
        if not self._setup["disk"]:
            rlimits[resource.RLIMIT_FSIZE] = allowed["disk_mb"] << 20
        if not self._group.folders:
            rlimits[resource.RLIMIT_AS] = (allowed["memory_mb"] << 20) * _TIMES_MEMORY
        return rlimits

    def _usage(self) -> Usage:
        if self._setup["disk"]:
            return DiskUsage(Disk(self._folder))
        if self._setup["root"]:  # whose hands are too strong to walk there
            return UnknownUsage()
        allowed = self._setup["limits"]
        files = self._folder / "files"
        return FolderUsage(files, megabytes=allowed["disk_mb"], inodes=allowed["inodes"])

    def _capture(self, process: "subprocess.Popen[bytes]") -> Capture:
        if process.stdout is None:
            raise OSError("no pipe from the phase")
        path = self._folder / "phases" / f"{self._told['name']}.out"
        cap = self._told["output_bytes"] or self._setup["limits"]["output_bytes"]
        return Capture(process.stdout, process.stderr, path, cap)

    def _watch(
        self, process: "subprocess.Popen[bytes]", capture: Capture, usage: Usage
    ) -> str | None:
        """Follow the phase until its program is dead; return why it was ended, if it was."""
        deadline = time.monotonic() + min(
            self._told["seconds"], self._setup["ends_at"] - time.time()
        )
        reason: str | None = None
        with _pidfd(process.pid) as ended:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.register(self._wake, select.POLLIN)
            capture.register(poll)
            while True:
                ready = {number for number, _ in poll.poll(_TICK_MILLISECONDS)}
                capture.take(ready, poll)
                if ended in ready:
                    return reason
                found = self._reason(ready, capture, usage, deadline)
                if found == "deadline" and reason is None:
                    reason, deadline = found, time.monotonic() + _GRACE_SECONDS
                    self._terminate()
                elif found and (found != "deadline" or time.monotonic() >= deadline):
                    reason = reason or found
                    self._kill(process)

    def _reason(self, ready: set[int], capture: Capture, usage: Usage, end: float) -> str | None:
        if self._wake in ready:
            os.read(self._wake, 64)
        if "kill" in self._asked or not self._folder.exists():
            return "signalled"
        if "stop" in self._asked:
            self._asked.remove("stop")
            self._terminate()
        if capture.exceeded:
            return capture.exceeded
        if usage.outgrown:
            return "disk_full"
        return self._group.look(self._inside) or ("deadline" if time.monotonic() >= end else None)

    def _terminate(self) -> None:
        """Send SIGTERM to the phase's program: the first child of the first process inside."""
        children = Path(f"/proc/{self._inside}/task/{self._inside}/children")
        with contextlib.suppress(OSError, IndexError):  # it ended by itself
            os.kill(int(children.read_text().split()[0]), signal.SIGTERM)

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        process.kill()
        self._group.kill()
        process.wait()

    def _failed_to_start(
        self, process: "subprocess.Popen[bytes]", capture: Capture
    ) -> dict[str, Any]:
        self._kill(process)
        capture.drain()
        return {"reason": "sandbox_failed", "detail": capture.tail()}

    def _judge(
        self, reason: str | None, code: int, before: Counts, *, full: bool
    ) -> dict[str, Any]:
        """Say why a phase ended: a limit counts where the program failed and the limit was met."""
        after = self._group.counts()
        killed = after.oom_kills > before.oom_kills
        refused = after.pids_refused > before.pids_refused
        if reason:
            end: dict[str, Any] = {"reason": reason}
        elif code == 128 + signal.SIGKILL and killed:
            end = {"reason": "out_of_memory"}
        elif code != 0 and refused:
            end = {"reason": "too_many_processes", "detail": f"exit code {code}"}
        elif full:
            end = {"reason": "disk_full", "detail": f"exit code {code}"}
        else:
            end = {"exit_code": code}
        return end | {"oom_killed": killed}

    def _note(self) -> None:
        draft = self._folder / "phases" / f"{self._told['name']}.end~"
        # The folder may be gone, and with it whoever might ask.
        with contextlib.suppress(FileNotFoundError):
            draft.write_text(json.dumps(self.end))
            draft.replace(draft.with_suffix(".end"))


def _exit_code(process: "subprocess.Popen[bytes]") -> int:
    code = process.wait()
    return code if code >= 0 else 128 - code


def _inside(status: int, process: "subprocess.Popen[bytes]") -> tuple[int, bytes]:
    """Return the number of the first process inside, 0 when bwrap failed; and what came after."""
    poll = select.poll()
    poll.register(status, select.POLLIN)
    text = b""
    end = time.monotonic() + _START_SECONDS
    while b"\n" not in text and process.poll() is None and time.monotonic() < end:
        poll.poll(_TICK_MILLISECONDS)
        text += _read_all(status)
    if b"\n" not in text:
        return 0, text
    line, _, rest = text.partition(b"\n")
    return int(json.loads(line)["child-pid"]), rest


def _read_all(descriptor: int) -> bytes:
    """Return what is in a pipe now."""
    text = b""
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(descriptor, 4096):
            text += chunk
    return text


def _gate(stack: contextlib.ExitStack) -> int:
    """Return a pipe held at both ends, so that our own death never looks like a release."""
    read, write = os.pipe2(os.O_CLOEXEC)
    gate = os.open(f"/proc/self/fd/{read}", os.O_RDWR | os.O_CLOEXEC)
    os.close(read)
    os.close(write)
    stack.callback(os.close, gate)
    return gate


def _in_memory(stack: contextlib.ExitStack, data: bytes) -> int:
    """Return a descriptor from which the data can be read."""
    descriptor = os.memfd_create("codexsys", os.MFD_CLOEXEC)
    stack.callback(os.close, descriptor)
    os.write(descriptor, data)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
