"""What the kernel counts of this container, in control groups of either version."""

import contextlib
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_USAGE = _GROUPS / "cpuacct/cpuacct.usage"


def counts() -> tuple[int, int]:
    """Return how often the kernel killed for memory here, and how often it refused a process."""
    split = (_GROUPS / "memory/memory.oom_control", _GROUPS / "pids/pids.events")
    files = split if split[0].exists() else (_GROUPS / "memory.events", _GROUPS / "pids.events")
    return _field(files[0], "oom_kill"), _field(files[1], "max")


def used() -> float:
    """Return the processor seconds used here; 0 where they cannot be seen."""
    with contextlib.suppress(OSError):
        return int(_USAGE.read_text()) / 1e9
    return _field(_GROUPS / "cpu.stat", "usage_usec") / 1e6


def _field(path: Path, key: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) == 2 and words[0] == key:
                return int(words[1])
    return 0
