"""Where there are no control groups for us: processes and memory counted from outside, and ended.

A program can outrun this for a moment, which is why such limits are named as not enforced.
"""

import contextlib
import os
import resource
import signal
from pathlib import Path

from codexsys_adapters.local.groups import Counts

_PAGE = resource.getpagesize()
_TIMES_PIDS = 4  # the kernel's wall is beyond ours, so that it is us who say why


class WatchedGroup:
    """Kills the largest process when there is too much memory, and says when there are too many."""

    folders: list[str] = []  # noqa: RUF012 - never any

    def __init__(self, *, memory: int, pids: int) -> None:
        self._memory = memory
        self._pids = pids
        self._walled = 0
        self._oom_kills = 0
        self._refused = 0

    def make(self, memory: int, pids: int, quota: int) -> None:
        """Make nothing."""

    def join(self) -> None:
        """Join nothing."""

    def look(self, inside: int) -> str | None:
        self._wall_in(inside)
        found = _descendants(inside)
        if len(found) > self._pids:
            self._refused += 1
            return "too_many_processes"
        sizes = {process: _private_bytes(process) for process in found}
        if sum(sizes.values()) > self._memory:
            self._oom_kills += 1
            with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                os.kill(max(sizes, key=lambda process: sizes[process]), signal.SIGKILL)
        return None

    def counts(self) -> Counts:
        return Counts(self._oom_kills, self._refused)

    def kill(self) -> None:
        """Leave it to the process namespace, which ends with its first process."""

    def remove(self) -> None:
        """Remove nothing."""

    def _wall_in(self, inside: int) -> None:
        """Bound the processes of the sandbox's own user namespace, before its program runs."""
        if self._walled != inside:
            self._walled = inside
            most = self._pids * _TIMES_PIDS
            with contextlib.suppress(ProcessLookupError):  # it ended at once
                resource.prlimit(inside, resource.RLIMIT_NPROC, (most, most))


def _descendants(inside: int) -> list[int]:
    """Return all processes below the first one inside: whose parent ends is given to that one."""
    found: list[int] = []
    open_ends = [inside]
    while open_ends:
        below = _children(open_ends.pop())
        found += below
        open_ends += below
    return found


def _children(process: int) -> list[int]:
    """Return the children of all its threads: one that has just ended hides no other's."""
    children: list[int] = []
    tasks = Path(f"/proc/{process}/task")
    for thread in _listed(tasks):
        with contextlib.suppress(OSError):
            children += map(int, (tasks / thread / "children").read_text().split())
    return children


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 - names are what is wanted
    except OSError:  # its process has just ended
        return []


def _private_bytes(process: int) -> int:
    try:
        _, resident, shared, *_ = Path(f"/proc/{process}/statm").read_text().split()
    except (OSError, ValueError):  # it has just ended
        return 0
    return (int(resident) - int(shared)) * _PAGE
