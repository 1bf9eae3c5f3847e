"""Becomes one phase: joins its groups, stages its folders, stops being root; the rest is bwrap's.

All of it happens in a child of the supervisor, between fork and exec, so that none of it happens
in a process that others share.
"""

import os
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from codexsys_adapters.disks import kernel
from codexsys_adapters.walls import rights

_STAGE = Path("/tmp")  # noqa: S108 - in a mount namespace of our own
_OOM_SCORE = "500"


@dataclass(frozen=True)
class Launch:
    """What is to be done before exec."""

    join: Callable[[], None]
    """Joins the control groups."""
    stage: Mapping[str, str]
    """Name → folder to bind before root is dropped; empty for an ordinary user."""
    rlimits: Mapping[int, int]
    user: tuple[int, int] | None
    """Whom root becomes; None for an ordinary user."""

    def __call__(self) -> None:
        """Do it; whoever waits for us reads on standard error what went wrong."""
        try:
            self._do()
        except OSError as error:
            os.write(2, f"{error}\n".encode())  # what Python buffers may be locked for ever here
            os._exit(1)

    def _do(self) -> None:
        self.join()
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)
        if self.stage:
            _stage(self.stage)
        for number, value in self.rlimits.items():
            _, most = resource.getrlimit(number)
            bound = value if most == resource.RLIM_INFINITY else min(value, most)
            resource.setrlimit(number, (bound, bound))
        os.umask(0o022)
        if self.user:
            rights.become(*self.user)


def _stage(folders: Mapping[str, str]) -> None:
    """Bind folders that only root may enter to where the dropped bwrap can reach them."""
    kernel.unshare_mounts()
    # Opened before the stage covers what may lie under it, and after the namespace is ours.
    opened = {name: os.open(path, os.O_PATH | os.O_DIRECTORY) for name, path in folders.items()}
    kernel.mount("tmpfs", _STAGE, "tmpfs", options="mode=0755,size=64k")
    for name, source in opened.items():
        target = _STAGE / name
        target.mkdir()
        kernel.mount(f"/proc/self/fd/{source}", target, flags=kernel.BIND)
        os.close(source)
