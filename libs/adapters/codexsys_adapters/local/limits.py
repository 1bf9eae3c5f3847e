"""The control groups of one sandbox: memory, processes, processor time, and killing all of it."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_MOUNT = Path("/sys/fs/cgroup")
_PARENT = "codexsys"
_CPU_PERIOD = 100_000
_OWN_PROCESSES = 3  # bwrap outside, bwrap inside, and the launcher before them
_EMPTY_SECONDS = 10.0
_POLL_SECONDS = 0.002


@dataclass(frozen=True)
class Counts:
    """How often the kernel refused something; only differences mean anything."""

    oom_kills: int
    pids_refused: int


class Group(Protocol):
    """What holds every process of a sandbox's phases."""

    def make(self, memory: int, pids: int, quota: int) -> None:
        """Make it with its limits; OSError where that cannot be had."""

    def entries(self) -> list[str]:
        """Return the files into which a process writes its number to join."""

    def counts(self) -> Counts:
        """Return the counters as they are."""

    def kill(self) -> None:
        """Kill every process and return when none is left."""

    def remove(self) -> None:
        """Kill and remove the group; no error when it is not there."""


def open_group(name: str) -> Group | None:
    """Return the group of this name, made or not; None where the host lets us have none."""
    if (_MOUNT / "cgroup.controllers").exists():
        return _Unified(_MOUNT / _PARENT / name) if os.access(_MOUNT, os.W_OK) else None
    kinds = ("memory", "pids", "cpu", "freezer")
    if all(os.access(_MOUNT / kind, os.W_OK) for kind in kinds):
        return _Split({kind: _MOUNT / kind / _PARENT / name for kind in kinds})
    return None


def make_group(name: str, *, memory_mb: int, pids: int, cpus: float) -> Group | None:
    """Make the group with its limits; None where that cannot be had."""
    group = open_group(name)
    if group is None:
        return None
    try:
        group.make(memory_mb * 1024 * 1024, pids + _OWN_PROCESSES, int(cpus * _CPU_PERIOD))
    except OSError:
        group.remove()
        return None
    return group


class _Split:
    """Version 1: one folder in each controller's tree."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self._folders = folders

    def make(self, memory: int, pids: int, quota: int) -> None:
        for folder in self._folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        (self._folders["memory"] / "memory.limit_in_bytes").write_text(str(memory))
        swap = self._folders["memory"] / "memory.memsw.limit_in_bytes"
        if swap.exists():  # only where the kernel counts swap; it must not be below the other
            swap.write_text(str(memory))
        (self._folders["pids"] / "pids.max").write_text(str(pids))
        (self._folders["cpu"] / "cpu.cfs_period_us").write_text(str(_CPU_PERIOD))
        (self._folders["cpu"] / "cpu.cfs_quota_us").write_text(str(quota))

    def entries(self) -> list[str]:
        return [str(folder / "cgroup.procs") for folder in self._folders.values()]

    def counts(self) -> Counts:
        oom = _field(self._folders["memory"] / "memory.oom_control", "oom_kill")
        return Counts(oom, _field(self._folders["pids"] / "pids.events", "max"))

    def kill(self) -> None:
        freezer = self._folders["freezer"]
        if not freezer.exists():
            return
        state = freezer / "freezer.state"
        for _ in _until(_EMPTY_SECONDS):
            members = _members(freezer)
            if not members:
                return
            state.write_text("FROZEN")  # or a fork bomb outruns us
            for member in _members(freezer):
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(member, signal.SIGKILL)
            state.write_text("THAWED")

    def remove(self) -> None:
        self.kill()
        for folder in self._folders.values():
            _remove(folder)


class _Unified:
    """Version 2: one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, memory: int, pids: int, quota: int) -> None:
        self._folder.parent.mkdir(exist_ok=True)
        for above in (self._folder.parent.parent, self._folder.parent):
            (above / "cgroup.subtree_control").write_text("+memory +pids +cpu")
        self._folder.mkdir(exist_ok=True)
        (self._folder / "memory.max").write_text(str(memory))
        swap = self._folder / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        (self._folder / "pids.max").write_text(str(pids))
        (self._folder / "cpu.max").write_text(f"{quota} {_CPU_PERIOD}")

    def entries(self) -> list[str]:
        return [str(self._folder / "cgroup.procs")]

    def counts(self) -> Counts:
        oom = _field(self._folder / "memory.events", "oom_kill")
        return Counts(oom, _field(self._folder / "pids.events", "max"))

    def kill(self) -> None:
        if not self._folder.exists():
            return
        for _ in _until(_EMPTY_SECONDS):
            if not _members(self._folder):
                return
            (self._folder / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        self.kill()
        _remove(self._folder)


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(_POLL_SECONDS)


def _members(folder: Path) -> list[int]:
    try:
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    except OSError:  # removed, or being removed
        return []


def _field(path: Path, key: str) -> int:
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) == 2 and words[0] == key:
            return int(words[1])
    return 0


def _remove(folder: Path) -> None:
    for _ in _until(_EMPTY_SECONDS):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            continue  # its last process is still on its way out
        return
