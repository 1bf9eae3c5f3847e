"""The first process of a stage: runs the phases that the keeper hands on, one after the other.

While no phase runs, no other process is in this container. What `Init` says, and what it is told
while a phase runs, goes over the connection to the keeper, which was made before any phase.
"""

import contextlib
import ctypes
import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codexsys_adapters.kubernetes.inside.places import LAST, meet_keeper
from codexsys_adapters.walls import seccomp
from codexsys_adapters.walls.init import Init
from codexsys_adapters.walls.program import command, environment

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: object) -> object:
        """Stand in for what the standard library has from 3.12 on."""
        return method


_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _FILTER = 4, 22, 2
_PIDS = (Path("/sys/fs/cgroup/pids/pids.current"), Path("/sys/fs/cgroup/pids.current"))
_SCRATCH = (Path("/tmp"), Path("/dev/shm"))  # noqa: S108 - inside
_OF_THE_CLUSTER = "KUBERNETES_"
_LOOK = command(["codexsys-python", "-m", "codexsys_agent", "network"])
_LOOK_SECONDS = 20.0
_OPEN = 9
_SHARED, _QUEUES = Path("/proc/sysvipc"), Path("/dev/mqueue")
"""All containers of a pod see the same of these."""
_REMOVE = 0  # IPC_RMID
STOP, KILL = b"t", b"k"
_FULL_BYTES = 1 << 20
_STOPPED = 128 + signal.SIGTERM
"""A pod that others ended has not succeeded."""
_libc = ctypes.CDLL(None, use_errno=True)


class Phase(Init):
    """One phase; the keeper's connection is our output, and the lifeline."""

    easier_to_kill = "1000"

    def __init__(self, plan: dict[str, Any], keeper: socket.socket, *, beside: int) -> None:
        """Beside it are so many processes of the same user that are not its own: stages' first ones."""
        super().__init__(plan)
        self._keeper = keeper
        self._beside = beside
        self._crowded = False

    def refuse(self, reason: str, detail: str) -> None:
        """End it before it begins."""
        self._end({"reason": reason, "detail": detail})

    @override
    def _hold_lifeline(self, stack: contextlib.ExitStack) -> bool:  # noqa: ARG002 - it stays open
        self._lifeline = self._keeper
        return True

    @override
    def _cut(self) -> None:
        """Do what the keeper says."""
        with contextlib.suppress(BlockingIOError):
            orders = self._keeper.recv(64)
            if STOP in orders:
                self._signal(signal.SIGTERM)
            if KILL in orders:
                self._reason = "signalled"
            if not orders:
                self._reason, self._detail = "sandbox_lost", "the keeper is gone"

    @property
    def lost(self) -> bool:
        """Say whether the pod is to end."""
        return self._reason == "sandbox_lost"

    @override
    def _close_in(self) -> None:
        most = self._plan["pids"] + self._beside
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
        largest = self._plan["disk_mb"] << 20  # of what no volume bounds: the cluster's own file
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        steps = seccomp.program()
        kept = ctypes.create_string_buffer(steps, len(steps))
        told = struct.pack("HxxxxxxP", len(steps) // 8, ctypes.addressof(kept))
        if _libc.prctl(_PR_SET_SECCOMP, _FILTER, told, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "system calls cannot be refused")

    @override
    def _reap(self) -> bool:
        self._crowded = self._crowded or _processes() > self._plan["pids"]
        return super()._reap()

    @override
    def _judge(self, before: tuple[int, int]) -> dict[str, Any]:
        end = super()._judge(before)
        full = self._plan["disk"] and _full()
        return end | {"refused": end["refused"] + int(self._crowded), "full": full}


def _full() -> bool:
    """Say whether a write that wanted more may have failed."""
    room = os.statvfs("/app/code")
    return room.f_bavail * room.f_frsize < _FULL_BYTES or room.f_favail == 0


def _processes() -> int:
    for path in _PIDS:
        with contextlib.suppress(OSError):
            return int(path.read_text())
    return 0


def main(name: str) -> None:
    """Run what there is to run; the keeper says when there is no more."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(_STOPPED))
    keeper = meet_keeper(name)
    beside = len(LAST) if name in LAST else 1
    os.dup2(keeper.fileno(), 1)
    sure = False
    image = {key: value for key, value in os.environ.items() if not key.startswith(_OF_THE_CLUSTER)}  # noqa: TID251 - the image's
    while plan := _next(keeper):
        own = plan["env"]
        plan["env"] = environment(plan["argv"][0], image, own, wheels=False)
        plan["argv"] = command(plan["argv"])
        _libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # or the program could not become one
        phase = Phase(plan, keeper, beside=beside)
        if not sure and (refusal := _open(plan["beside"])):
            phase.refuse(*refusal)
            continue
        sure = True
        phase.run()
        if phase.lost:
            return
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        keeper.setblocking(True)
        _sweep()


def _open(beside: list[Any] | None) -> tuple[str, str] | None:
    """Look for a way out as the phases' own user, before any of them; None where there is none."""
    if beside is None:  # an online phase
        return None
    api = [os.environ.get(f"KUBERNETES_SERVICE_{part}") for part in ("HOST", "PORT")]  # noqa: TID251
    told = [*beside, *([["tcp", api[0], int(api[1])]] if api[0] and api[1] else [])]
    looked = subprocess.run(
        _LOOK,
        env={},
        input=json.dumps(told).encode(),
        capture_output=True,
        timeout=_LOOK_SECONDS,
        check=False,
    )
    if looked.returncode == _OPEN:
        return "network_open", looked.stdout.decode(errors="replace")
    words = looked.stderr.decode(errors="replace")[-500:]
    return ("sandbox_failed", f"network: {words}") if looked.returncode else None


def _next(keeper: socket.socket) -> dict[str, Any] | None:
    """Return the next plan; None when the stage is over. What was meant for the last is passed over."""
    told = bytearray()
    while not told.endswith(b"\n"):
        piece = keeper.recv(65_536)
        if not piece:
            return None
        told += piece
    found: dict[str, Any] = json.loads(told.lstrip(STOP + KILL))
    return None if found.get("over") else found


def _sweep() -> None:
    """Leave the next phase nothing in what is private to each."""
    for folder in _SCRATCH:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                _drop(path)
    for path in _QUEUES.glob("*"):
        with contextlib.suppress(OSError):
            path.unlink()
    for number in _listed("shm"):
        _libc.shmctl(number, _REMOVE, None)
    for number in _listed("sem"):
        _libc.semctl(number, 0, _REMOVE)
    for number in _listed("msg"):
        _libc.msgctl(number, _REMOVE, None)


def _drop(path: Path) -> None:
    try:
        path.unlink()
    except OSError:  # the cluster's own file: of it the content goes
        with contextlib.suppress(OSError):
            os.truncate(path, 0)


def _listed(kind: str) -> list[int]:
    lines = (_SHARED / kind).read_text().splitlines()[1:]
    return [int(line.split()[1]) for line in lines]


if __name__ == "__main__":
    main(sys.argv[1])
