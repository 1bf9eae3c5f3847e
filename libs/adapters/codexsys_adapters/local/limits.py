"""What holds all processes of one sandbox: control groups of either version, else our own watch."""

import json
import os
from pathlib import Path
from typing import Protocol

from codexsys_adapters.local.groups import CPU_PERIOD, Counts
from codexsys_adapters.local.split import SplitGroup
from codexsys_adapters.local.unified import UnifiedGroup
from codexsys_adapters.local.watched import WatchedGroup

_OWN_PROCESSES = 3  # bwrap outside, bwrap inside, and the launcher before them


class Group(Protocol):
    """What holds every process of a sandbox's phases."""

    @property
    def folders(self) -> list[str]:
        """Return the control groups' folders; none where there are no control groups."""

    def make(self, memory: int, pids: int, quota: int) -> None:
        """Make it with its limits; OSError where that cannot be had."""

    def join(self) -> None:
        """Become a member: called in a process with one thread, which will be the phase's first."""

    def look(self, inside: int) -> str | None:
        """Look at the running phase, every moment; return why it has to end, if it has to."""

    def counts(self) -> Counts:
        """Return the counters as they are."""

    def kill(self) -> None:
        """Kill every process and return when none is left."""

    def remove(self) -> None:
        """Kill and remove the group; no error when it is not there."""


def make_group(name: str, *, memory_mb: int, pids: int, cpus: float, share: float = 1.0) -> Group:
    """Make a group with its limits: the best that this host gives us."""
    for found in (SplitGroup.here(name, share), UnifiedGroup.here(name, share)):
        if found is None:
            continue
        try:
            found.make(memory_mb << 20, pids + _OWN_PROCESSES, int(cpus * CPU_PERIOD))
        except OSError:
            found.remove()
        else:
            return found
    return WatchedGroup(memory=memory_mb << 20, pids=pids)


def grouped() -> bool:
    """Say whether this host gives us control groups, by making one."""
    group = make_group(f"try-{os.getpid()}", memory_mb=64, pids=8, cpus=1)
    group.remove()
    return bool(group.folders)


def write_down(group: Group, path: Path) -> None:
    """Note where a group is, for those who find it without its supervisor."""
    path.write_text(json.dumps(group.folders))


def written_down(path: Path) -> Group | None:
    """Return the group that was noted there; None when there is none."""
    try:
        folders = [Path(text) for text in json.loads(path.read_text())]
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if len(folders) > 1:
        return SplitGroup(folders)
    return UnifiedGroup(folders[0]) if folders else None
