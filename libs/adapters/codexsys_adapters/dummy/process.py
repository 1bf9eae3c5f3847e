"""One phase of a dummy sandbox: a detached process that does as it was told, and nothing else."""

import fcntl
import io
import json
import os
import signal
import sys
import tarfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

_TICK_SECONDS = 0.01


class _Terminated(Exception):
    """Raised when the phase is asked to stop."""


def main(folder: Path, name: str) -> None:
    """Detach, hold the lock for as long as the phase runs, and write down how it ended."""
    told = json.loads((folder / f"{name}.json").read_text())
    lock = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)  # the lock belongs to the open file, so it survives the fork
    _detach(lock)
    signal.signal(signal.SIGTERM, _terminated)
    end: dict[str, Any]
    try:
        end = _perform(folder / f"{name}.out", told)
    except _Terminated:
        end = {"exit_code": 128 + signal.SIGTERM}
    draft = folder / f"{name}.end~"
    draft.write_text(json.dumps(end))
    draft.replace(folder / f"{name}.end")


def _detach(lock: int) -> None:
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        os.read(ready, 1)
        os._exit(0)
    os.setsid()
    os.write(lock, str(os.getpid()).encode())
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(ready)
    os.close(tell)


def _terminated(number: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise _Terminated


def _perform(out: Path, told: dict[str, Any]) -> dict[str, Any]:
    steer, deadline = told["steer"], time.monotonic() + told["seconds"]
    ends_at = time.monotonic() + float(steer.get("DELAY", "0"))
    data = _collected(steer) if told["name"].startswith("collect") else _chatter(steer)
    cap = told["output_bytes"]
    out.write_bytes(data[:cap])
    if len(data) > cap:
        return {"reason": "output_limit"}
    while time.monotonic() < ends_at:
        if time.monotonic() >= deadline:
            return {"reason": "deadline"}
        time.sleep(_TICK_SECONDS)
    reason = "out_of_memory" if steer.get("OOM") == "1" else steer.get("END")
    end = {"reason": reason} if reason else {"exit_code": int(steer.get("EXIT", "0"))}
    return end | {"oom_killed": reason == "out_of_memory" or steer.get("OOM_CHILD") == "1"}


def _chatter(steer: dict[str, str]) -> bytes:
    lines = range(1, int(steer.get("CHATTER", "0")) + 1)
    return "".join(f"line {number}\n" for number in lines).encode()


def _collected(steer: dict[str, str]) -> bytes:
    members = {"patch": steer.get("PATCH", "")} | json.loads(steer.get("COLLECT", "{}"))
    meta: dict[str, Any] = {"tree": "", "changed": [], "flags": {}}
    members = {"meta.json": json.dumps(meta)} | members
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            data = text.encode()
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
