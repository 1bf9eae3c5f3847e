"""Control groups of version 2: one folder, below one that may hold no processes of its own."""

import contextlib
import os
from pathlib import Path

from codexsys_adapters.local import groups
from codexsys_adapters.local.groups import CPU_PERIOD, Counts
from codexsys_adapters.walls.yielding import Yielding

_MOUNT = Path("/sys/fs/cgroup")
_PARENT = "codexsys"
_LEAF = "codexsys-services"
_WEIGHT, _MOST_WEIGHT = 100, 10_000
_CONTROLLERS = "+memory +pids +cpu"


class UnifiedGroup:
    """Memory, processes and processor time are limited; the kernel kills a group at once."""

    def __init__(self, folder: Path, share: float = 1.0) -> None:
        self._folder = folder
        self._yielding = Yielding(self._used, self._weigh, share=share)

    @classmethod
    def here(cls, name: str, share: float) -> "UnifiedGroup | None":
        """Return the group of this name; None where no part of the tree is ours."""
        home = _home()
        return cls(home / _PARENT / name, share) if home else None

    @property
    def folders(self) -> list[str]:
        return [str(self._folder)]

    def make(self, memory: int, pids: int, quota: int) -> None:
        parent = self._folder.parent
        _hand_down(parent.parent)
        parent.mkdir(exist_ok=True)
        _hand_down(parent)
        weight = min(_MOST_WEIGHT, _WEIGHT * (os.cpu_count() or 1))
        (parent / "cpu.weight").write_text(str(weight))  # all sandboxes together against all else
        self._folder.mkdir(exist_ok=True)
        (self._folder / "memory.max").write_text(str(memory))
        swap = self._folder / "memory.swap.max"
        if swap.exists():
            swap.write_text("0")
        (self._folder / "pids.max").write_text(str(pids))
        (self._folder / "cpu.max").write_text(f"{quota} {CPU_PERIOD}")

    def join(self) -> None:
        (self._folder / "cgroup.procs").write_text("0")

    def look(self, inside: int) -> None:  # noqa: ARG002 - the kernel knows who is inside
        """Leave limits to the kernel; see that others beside it get their part."""
        self._yielding.look()

    def _used(self) -> float:
        return groups.field(self._folder / "cpu.stat", "usage_usec") / 1e6

    def _weigh(self, less: int) -> None:
        (self._folder / "cpu.weight").write_text(str(_WEIGHT // less))

    def counts(self) -> Counts:
        oom = groups.field(self._folder / "memory.events", "oom_kill")
        return Counts(oom, groups.field(self._folder / "pids.events", "max"))

    def kill(self) -> None:
        if not self._folder.exists():
            return
        for _ in groups.until_empty():
            if not groups.members(self._folder):
                return
            (self._folder / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        self.kill()
        groups.remove(self._folder)


def _home() -> Path | None:
    """Return the group in which we may make others: the root's for root, else one delegated to us."""
    if not (_MOUNT / "cgroup.controllers").exists():
        return None
    home = _MOUNT
    if os.geteuid() != 0:
        own = Path("/proc/self/cgroup").read_text().partition("0::/")[2].strip()
        home = _MOUNT / own
        home = home.parent if home.name == _LEAF else home
    wanted = (home, home / "cgroup.procs", home / "cgroup.subtree_control")
    return home if all(os.access(path, os.W_OK) for path in wanted) else None


def _hand_down(group: Path) -> None:
    """Give the controllers to the groups below; only the real root may then have processes itself."""
    control = group / "cgroup.subtree_control"
    if set(_CONTROLLERS.replace("+", "").split()) <= set(control.read_text().split()):
        return
    if (group / "cgroup.type").exists():  # the real root has none
        _move_to_leaf(group)
    control.write_text(_CONTROLLERS)


def _move_to_leaf(group: Path) -> None:
    """Move what runs in a group, we among it, to a group below."""
    leaf = group / _LEAF
    for process in groups.members(group):
        leaf.mkdir(exist_ok=True)
        with contextlib.suppress(ProcessLookupError):  # it has ended
            (leaf / "cgroup.procs").write_text(str(process))
