"""Becomes one phase: joins its groups, stages its folders, drops what root can, and executes bwrap.

A program of its own (`python -I -S launch.py FD`), so that nothing of this happens in a
process that others share. It reads its plan from the descriptor.
"""

import ctypes
import json
import os
import resource
import sys
from pathlib import Path

_NEW_MOUNTS = 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 4096, 16384, 1 << 18
_STAGE = "/tmp"  # noqa: S108 - in a mount namespace of our own


def main(descriptor: int) -> None:
    """Do as the plan says and become bwrap."""
    with os.fdopen(descriptor, "rb") as file:
        plan = json.load(file)
    for entry in plan["groups"]:
        Path(entry).write_text(str(os.getpid()))
    Path("/proc/self/oom_score_adj").write_text("500")
    if plan["stage"]:
        _stage(plan["stage"])
    for name, value in plan["rlimits"].items():
        _, most = resource.getrlimit(getattr(resource, name))
        bound = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(getattr(resource, name), (bound, bound))
    os.umask(0o022)
    os.execve(plan["argv"][0], plan["argv"], {})  # noqa: S606 - that is what it is for


def _stage(folders: dict[str, str]) -> None:
    """Bind folders that only root may enter to where the dropped bwrap can reach them."""
    _check(_libc.unshare(_NEW_MOUNTS))
    _mount("none", "/", "", _RECURSIVE | _PRIVATE)
    # Opened before the stage covers what may lie under it, and after the namespace is ours.
    opened = {name: os.open(path, os.O_PATH | os.O_DIRECTORY) for name, path in folders.items()}
    _mount("tmpfs", _STAGE, "tmpfs", 0, "mode=0755,size=64k")
    for name, source in opened.items():
        target = Path(_STAGE, name)
        target.mkdir()
        _mount(f"/proc/self/fd/{source}", str(target), "", _BIND)
        os.close(source)


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    arguments = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
    _check(_libc.mount(*arguments))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


_libc = ctypes.CDLL(None, use_errno=True)

if __name__ == "__main__":
    main(int(sys.argv[1]))
