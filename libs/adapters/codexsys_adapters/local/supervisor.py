"""The small trusted program that keeps one sandbox: a detached process, beside its folder.

It answers on the unix socket `s` in the folder, one JSON line a request:
`{"do": "start"|"wait", "phase": name}`, `{"do": "keep", "layer": name}`,
`{"do": "signal", "kill": bool}`, `{"do": "end"}`.
"""

import contextlib
import fcntl
import json
import os
import queue
import socket
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from codexsys_adapters.local import limits
from codexsys_adapters.local.ground import Ground
from codexsys_adapters.local.network import connect
from codexsys_adapters.local.phase import Phase
from codexsys_adapters.local.supervisors import READY

SOCKET = "s"
LOCK = "lock"
GROUP = "group.json"
_LOOK_SECONDS = 1.0

Work = Callable[[], None]


class Supervisor:
    """Works in the main thread, one thing at a time, since bwrap dies with the thread that made it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._setup: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self._phases: dict[str, Phase] = {}
        self._asked: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._ending = False
        self._ground = Ground(folder, self._setup)
        with ThreadPoolExecutor(1) as beside:  # each is some milliseconds of waiting for the kernel
            group = beside.submit(self._make_group)
            self._ground.open()
        self._group = group.result()

    def _make_group(self) -> limits.Group:
        allowed = self._setup["limits"]
        group = limits.make_group(
            self._setup["id"],
            memory_mb=allowed["memory_mb"],
            pids=allowed["pids"],
            cpus=allowed["cpus"],
            share=allowed["share"],
        )
        limits.write_down(group, self._folder / GROUP)
        return group

    def serve(self, listener: socket.socket) -> None:
        """Do what is asked for until the end is asked for, or has come."""
        threading.Thread(target=self._listen, args=(listener,), daemon=True).start()
        threading.Thread(target=self._follow, daemon=True).start()
        while not self._ending and self._wanted():
            with contextlib.suppress(queue.Empty):
                work = self._asked.get(timeout=_LOOK_SECONDS)
                if not self._ending:
                    work()
        self._group.remove()
        self._ground.close()

    def end(self) -> None:
        """End everything, from any thread."""
        with self._mutex:
            self._ending = True
            for phase in self._phases.values():
                phase.ask("kill")
        self._asked.put(lambda: None)

    def _wanted(self) -> bool:
        """Say whether our time has not come and nobody took the folder away."""
        return time.time() < self._setup["ends_at"] and (self._folder / "spec.json").exists()

    def _follow(self) -> None:
        """Let a gateway end us; only an agent's sandbox has a token to ask with."""
        token = (self._folder / "token").read_text()
        if token and self._setup["gateways"]:
            from codexsys_adapters.walls.control import follow  # noqa: PLC0415 - slow to import
            from codexsys_adapters.walls.gateways import at_urls  # noqa: PLC0415

            follow(at_urls(self._setup["gateways"]), token, self.end)

    def _listen(self, listener: socket.socket) -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, client.makefile("rwb") as stream, contextlib.suppress(BrokenPipeError):
            request = json.loads(stream.readline() or b"{}")
            stream.write(json.dumps(self._do(request)).encode() + b"\n")

    def _do(self, request: dict[str, Any]) -> dict[str, Any]:
        match request.get("do"):
            case "start":
                return self._start(request["phase"])
            case "wait":
                return self._wait(request["phase"])
            case "keep":
                return self._keep(request["layer"])
            case "signal":
                for phase in list(self._phases.values()):
                    phase.ask("kill" if request["kill"] else "stop")
            case "end":
                self.end()
        return {}

    def _start(self, name: str) -> dict[str, Any]:
        with self._mutex:
            phase = self._phases.get(name)
            if phase is None:
                phase = self._phases[name] = Phase(self._folder, self._setup, name, self._group)
                self._asked.put(lambda: phase.run(self._connect))
        phase.started.wait()
        return {}

    def _connect(
        self, inside: int, told: dict[str, Any]
    ) -> contextlib.AbstractContextManager[None]:
        return connect(self._setup, self._folder, inside, told)

    def _keep(self, layer: str) -> dict[str, Any]:
        """Keep the files as a layer, once no phase runs; what goes wrong is only noted."""
        done = threading.Event()

        def keep() -> None:
            try:
                self._ground.keep(layer)
            except Exception:
                traceback.print_exc()
            finally:
                done.set()

        self._asked.put(keep)
        while not done.wait(_LOOK_SECONDS) and not self._ending:
            pass
        return {}

    def _wait(self, name: str) -> dict[str, Any]:
        phase = self._phases.get(name)
        if phase is None:
            return {"unknown": True}
        phase.ended.wait()
        return phase.end


def load() -> None:
    """Load everything that a supervisor may need: it is what takes time."""
    from codexsys_adapters.local import split, unified, watched  # noqa: F401, PLC0415
    from codexsys_adapters.walls import control, door, seccomp  # noqa: F401, PLC0415

    seccomp.program()


def main(question: bytes, answer: int) -> None:
    """Take the folder's lock, listen, answer that we are ready, and serve; never returns."""
    try:
        folder = Path(os.fsdecode(question))
        os.chdir(folder)  # so that the socket's path is short however deep the folder lies
        _let_go()
        serve = _prepared(folder, answer)
        if serve:
            serve()
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)  # threads may still wait for clients or a gateway; nothing is left to be said


def _prepared(folder: Path, answer: int) -> Work | None:
    """Return what serves, and say that it is ready; None when another one keeps the folder."""
    said = READY
    try:
        return _listening(folder) if _lock() else None
    except Exception as error:
        said = (str(error) or type(error).__name__).encode()[:4096]
        raise
    finally:
        with contextlib.suppress(OSError):  # nobody listens any more
            os.write(answer, said)
        os.close(answer)


def _lock() -> bool:
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return True


def _listening(folder: Path) -> Work:
    Path(SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(SOCKET)
    listener.listen(16)
    supervisor = Supervisor(folder)
    return lambda: supervisor.serve(listener)


def _let_go() -> None:
    """What we have to say goes into the folder."""
    log = os.open("supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.close(log)
