"""What one phase of a dummy sandbox plays: its output, how long it takes, how it ends."""

import io
import json
import signal
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

End = dict[str, Any]
TERMINATED: End = {"exit_code": 128 + signal.SIGTERM}


@dataclass(frozen=True)
class Part:
    """Decided before the phase starts: its process only waits and says that it is over."""

    output: bytes
    seconds: float
    end: End


def part(name: str, steer: Mapping[str, str], *, seconds: float, output_bytes: int) -> Part:
    """Return what a phase plays within its limits."""
    output = _collected(steer) if name.startswith("collect") else _chatter(steer)
    if len(output) > output_bytes:
        return Part(output[:output_bytes], 0, {"reason": "output_limit"})
    delay = float(steer.get("DELAY", "0"))
    if delay > seconds:
        return Part(output, seconds, {"reason": "deadline"})
    return Part(output, delay, _end(steer))


def _end(steer: Mapping[str, str]) -> End:
    reason = "out_of_memory" if steer.get("OOM") == "1" else steer.get("END")
    end = {"reason": reason} if reason else {"exit_code": int(steer.get("EXIT", "0"))}
    return end | {"oom_killed": reason == "out_of_memory" or steer.get("OOM_CHILD") == "1"}


def _chatter(steer: Mapping[str, str]) -> bytes:
    lines = range(1, int(steer.get("CHATTER", "0")) + 1)
    return "".join(f"line {number}\n" for number in lines).encode()


def _collected(steer: Mapping[str, str]) -> bytes:
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
