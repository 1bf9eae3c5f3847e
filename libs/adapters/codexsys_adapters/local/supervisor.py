"""The small trusted program that keeps one sandbox: a detached process, beside its folder.

It answers on the unix socket `s` in the folder, one JSON line a request:
`{"do": "start"|"wait", "phase": name}`, `{"do": "signal", "kill": bool}`, `{"do": "end"}`.
"""

import contextlib
import fcntl
import json
import os
import queue
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from codexsys_adapters.local import limits
from codexsys_adapters.local.network import connect
from codexsys_adapters.local.phase import Phase

SOCKET = "s"
LOCK = "lock"
_LOOK_SECONDS = 1.0


class Supervisor:
    """Runs phases one at a time in the main thread, since bwrap dies with the thread that made it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._setup: dict[str, Any] = json.loads((folder / "spec.json").read_text())
        self._phases: dict[str, Phase] = {}
        self._asked: queue.SimpleQueue[Phase | None] = queue.SimpleQueue()
        self._mutex = threading.Lock()
        self._ending = False
        allowed = self._setup["limits"]
        self._group = limits.make_group(
            self._setup["id"],
            memory_mb=allowed["memory_mb"],
            pids=allowed["pids"],
            cpus=allowed["cpus"],
        )

    def serve(self, listener: socket.socket) -> None:
        """Run what is asked for until the end is asked for, or has come."""
        for work in (lambda: self._listen(listener), self._follow):
            threading.Thread(target=work, daemon=True).start()
        while not self._ending and self._wanted():
            with contextlib.suppress(queue.Empty):
                phase = self._asked.get(timeout=_LOOK_SECONDS)
                if phase is not None and not self._ending:
                    phase.run(lambda inside, told: connect(self._setup, self._folder, inside, told))
        if self._group:
            self._group.remove()

    def end(self) -> None:
        """End everything, from any thread."""
        with self._mutex:
            self._ending = True
            for phase in self._phases.values():
                phase.ask("kill")
        self._asked.put(None)

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
                self._asked.put(phase)
        phase.started.wait()
        return {}

    def _wait(self, name: str) -> dict[str, Any]:
        phase = self._phases.get(name)
        if phase is None:
            return {"unknown": True}
        phase.ended.wait()
        return phase.end


def main(folder: str) -> None:
    """Detach, take the folder's lock, listen, say that we are ready, and serve."""
    os.chdir(folder)  # so that the socket's path is short however deep the folder lies
    lock = os.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # another one keeps it already
    if os.fork():
        os._exit(0)
    os.setsid()
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    Path(SOCKET).unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(SOCKET)
        listener.listen(16)
        supervisor = Supervisor(Path(folder))
        _let_go()
        supervisor.serve(listener)
    os._exit(0)  # threads may still wait for clients or a gateway; nothing is left to be said


def _let_go() -> None:
    """Give our maker's descriptors back; what we have to say goes into the folder."""
    null = os.open(os.devnull, os.O_RDWR)
    log = os.open("supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(log, 2)
    os.dup2(null, 1)
    os.close(null)
    os.close(log)


if __name__ == "__main__":
    main(sys.argv[1])
