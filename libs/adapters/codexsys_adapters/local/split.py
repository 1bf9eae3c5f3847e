"""Control groups of version 1: one folder in each controller's tree."""

import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from codexsys_adapters.local import groups
from codexsys_adapters.local.groups import CPU_PERIOD, Counts
from codexsys_adapters.walls.yielding import Yielding

_MOUNT = Path("/sys/fs/cgroup")
_PARENT = "codexsys"
_SHARES = 1024
_KINDS = ("memory", "pids", "cpu", "cpuacct", "freezer")


class SplitGroup:
    """Memory, processes and processor time are limited; the freezer makes killing certain."""

    def __init__(self, folders: Sequence[Path], share: float = 1.0) -> None:
        self._memory, self._pids, self._cpu, self._account, self._freezer = folders
        self._yielding = Yielding(self._used, self._weigh, share=share)

    @classmethod
    def here(cls, name: str, share: float) -> "SplitGroup | None":
        """Return the group of this name; None where there are no such trees for us."""
        if not all(os.access(_MOUNT / kind, os.W_OK) for kind in _KINDS):
            return None
        return cls([_MOUNT / kind / _PARENT / name for kind in _KINDS], share)

    @property
    def folders(self) -> list[str]:
        kinds = (self._memory, self._pids, self._cpu, self._account, self._freezer)
        return [str(folder) for folder in kinds]

    def make(self, memory: int, pids: int, quota: int) -> None:
        for folder in self.folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
        shares = _SHARES * (os.cpu_count() or 1)  # all sandboxes together against all else
        (self._cpu.parent / "cpu.shares").write_text(str(shares))
        (self._memory / "memory.limit_in_bytes").write_text(str(memory))
        swap = self._memory / "memory.memsw.limit_in_bytes"
        if swap.exists():  # only where the kernel counts swap; it must not be below the other
            swap.write_text(str(memory))
        (self._pids / "pids.max").write_text(str(pids))
        (self._cpu / "cpu.cfs_period_us").write_text(str(CPU_PERIOD))
        (self._cpu / "cpu.cfs_quota_us").write_text(str(quota))

    def join(self) -> None:
        for folder in self.folders:  # ourselves, one thread: no waiting for all processors
            Path(folder, "tasks").write_text("0")

    def look(self, inside: int) -> None:  # noqa: ARG002 - the kernel knows who is inside
        """Leave limits to the kernel; see that others beside it get their part."""
        self._yielding.look()

    def _used(self) -> float:
        return int((self._account / "cpuacct.usage").read_text()) / 1e9

    def _weigh(self, less: int) -> None:
        (self._cpu / "cpu.shares").write_text(str(_SHARES // less))

    def counts(self) -> Counts:
        oom = groups.field(self._memory / "memory.oom_control", "oom_kill")
        return Counts(oom, groups.field(self._pids / "pids.events", "max"))

    def kill(self) -> None:
        if not self._freezer.exists():
            return
        state = self._freezer / "freezer.state"
        for _ in groups.until_empty():
            if not groups.members(self._freezer):
                return
            state.write_text("FROZEN")  # or a fork bomb outruns us
            for member in groups.members(self._freezer):
                with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
                    os.kill(member, signal.SIGKILL)
            state.write_text("THAWED")

    def remove(self) -> None:
        self.kill()
        for folder in self.folders:
            groups.remove(Path(folder))
