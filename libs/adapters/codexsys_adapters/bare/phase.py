"""One phase: started by a launcher that becomes its user, captured, and cleared away with all it began."""

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codexsys_adapters.bare import users
from codexsys_adapters.walls.door import PORT, Door
from codexsys_adapters.walls.gateways import at_urls
from codexsys_core.sandbox import PhaseEnd, PhaseSpec, SandboxSpec

_LAUNCHER = Path(__file__).with_name("launch.py")
_PATH = "/app/home/.local/bin:/usr/local/bin:/usr/bin:/bin"
_GRACE_SECONDS = 5.0
_TICK_SECONDS = 0.05
_CHUNK = 65_536
_TIMES_MEMORY = 4  # of address space: nothing else bounds memory
_AGENT = ("codexsys-python", "-m", "codexsys_agent")


@dataclass(frozen=True)
class Plan:
    """What is the same for all phases."""

    gateways: tuple[str, ...]
    agent: Path
    python: Path
    wheels: Path | None


class Phase:
    """Runs in a thread of its own; `end` is how it ended."""

    def __init__(
        self, plan: Plan, sandbox: SandboxSpec, phase: PhaseSpec, *, user: int, output: Path
    ) -> None:
        self.end: Future[PhaseEnd] = Future()
        self._plan = plan
        self._sandbox = sandbox
        self._phase = phase
        self._user = user
        self._output = output
        self._asked: list[str] = []
        self._left = phase.output_bytes or sandbox.limits.output_bytes

    def start(self) -> None:
        """Return when the program runs; OSError when it does not."""
        door = self._door()
        try:
            process = self._launched()
        except BaseException:
            if door:
                door.close()
            raise
        threading.Thread(target=self._follow, args=(process, door), daemon=True).start()

    def ask(self, what: str) -> None:
        """Ask it to `stop`, or to die at once."""
        self._asked.append(what)

    def said(self, offset: int, limit: int) -> bytes:
        """Return what it said from an offset on."""
        with self._output.open("rb") as file:
            file.seek(offset)
            return file.read(limit)

    def _door(self) -> Door | None:
        if self._phase.network != "door" or self._sandbox.token is None:
            return None
        listener = socket.create_server(("127.0.0.1", PORT))
        token = self._sandbox.token.get_secret_value()
        door = Door(listener, at_urls(self._plan.gateways), token)
        door.open()
        return door

    def _launched(self) -> "subprocess.Popen[bytes]":
        told = json.dumps(self._told()).encode()
        descriptor = os.memfd_create("phase", os.MFD_CLOEXEC)
        self._output.touch()
        try:
            os.write(descriptor, told)
            os.lseek(descriptor, 0, os.SEEK_SET)
            return subprocess.Popen(
                [sys.executable, "-I", "-S", str(_LAUNCHER), str(descriptor)],
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if self._phase.output == "text" else subprocess.DEVNULL,
                pass_fds=(descriptor,),
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    def _told(self) -> dict[str, Any]:
        allowed = self._sandbox.limits
        return {
            "user": self._user,
            "argv": self._argv(),
            "env": self._environment(),
            "limits": {
                "RLIMIT_CORE": 0,
                "RLIMIT_NOFILE": 65_536,
                "RLIMIT_NPROC": allowed.pids,
                "RLIMIT_FSIZE": allowed.disk_mb << 20,
                "RLIMIT_AS": (allowed.memory_mb << 20) * _TIMES_MEMORY,
            },
        }

    def _argv(self) -> list[str]:
        argv = self._phase.argv
        if argv[0] != "codexsys-python":
            return list(argv)
        python = str(
            self._plan.python / f"bin/python{sys.version_info.major}.{sys.version_info.minor}"
        )
        interpreter = [python, "-I", "-S"]
        if argv[1] != "-m":
            return [*interpreter, *argv[1:]]
        run = (
            f"import sys,runpy; sys.path.insert(0,{str(self._plan.agent)!r}); del sys.argv[0]; "
            "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
        )
        more = ["--open-network"] if argv[:3] == _AGENT else []
        return [*interpreter, "-c", run, *argv[2:], *more]

    def _environment(self) -> dict[str, str]:
        wheels = self._plan.wheels
        return {
            "HOME": "/app/home",
            "PATH": _PATH,
            "LANG": "C.UTF-8",
            "TMPDIR": "/tmp",  # noqa: S108 - cleared after each phase
            "USER": "sandbox",
            "CI": "1",
            "PIP_BREAK_SYSTEM_PACKAGES": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            **({"PIP_FIND_LINKS": str(wheels)} if wheels else {}),
            **self._phase.env,
        }

    def _follow(self, process: "subprocess.Popen[bytes]", door: Door | None) -> None:
        try:
            reason = self._watch(process)
            users.end_all(self._user)
            code = process.wait()
            reason = self._take_rest(process) or reason
            users.clear_shared(self._user)
            if door:
                door.close()
            if reason:
                self.end.set_result(PhaseEnd.model_validate({"reason": reason}))
            else:
                self.end.set_result(PhaseEnd(exit_code=code if code >= 0 else 128 - code))
        except Exception as error:
            self.end.set_result(PhaseEnd(reason="sandbox_failed", detail=str(error)))

    def _watch(self, process: "subprocess.Popen[bytes]") -> str | None:
        """Follow the program to its end; return why it was ended, if it was."""
        deadline, reason = time.monotonic() + self._phase.seconds, None
        while process.poll() is None:
            if self._take(process, _TICK_SECONDS):
                return "output_limit"
            if "kill" in self._asked:
                return "signalled"
            if "stop" in self._asked:
                self._asked.remove("stop")
                process.terminate()
            if time.monotonic() < deadline:
                continue
            if reason:
                return reason
            reason, deadline = "deadline", time.monotonic() + _GRACE_SECONDS
            process.terminate()
        return reason

    def _take(self, process: "subprocess.Popen[bytes]", seconds: float) -> bool:
        """Keep what is there; say whether it was more than may be kept."""
        if process.stdout is None:
            return False
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        data = os.read(process.stdout.fileno(), _CHUNK) if ready else b""
        if ready and not data:  # closed, though it runs on
            time.sleep(seconds)
        with self._output.open("ab") as file:
            file.write(data[: self._left])
        self._left -= min(len(data), self._left)
        return len(data) > 0 and self._left == 0

    def _take_rest(self, process: "subprocess.Popen[bytes]") -> str | None:
        """Keep what is left in the pipe, which nobody can write to any more."""
        if process.stdout is None:
            return None
        with process.stdout as pipe, self._output.open("ab") as file:
            os.set_blocking(pipe.fileno(), False)
            with contextlib.suppress(BlockingIOError):
                while data := os.read(pipe.fileno(), _CHUNK):
                    file.write(data[: self._left])
                    if len(data) > self._left:
                        return "output_limit"
                    self._left -= len(data)
        return None
