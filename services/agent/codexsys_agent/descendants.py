"""Ends every process that a command left behind, so that nothing of it can touch what is written next."""

import ctypes
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_SET_DUMPABLE, _SET_CHILD_SUBREAPER = 4, 36
_SECONDS = 10.0


def adopt_orphans() -> None:
    """Become the parent of whatever loses its own below us, and keep our memory from all of them."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_SET_DUMPABLE, 0, 0, 0, 0)


def end_descendants() -> bool:
    """Kill children until there are none, theirs become ours; says whether that came to an end."""
    until = time.monotonic() + _SECONDS
    while time.monotonic() < until:
        for pid in _children():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return True
    return False


def _children() -> list[int]:
    own, found = str(os.getpid()), []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            # The name of a program may hold anything, also a closing bracket.
            if (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1] == own:
                found.append(int(folder.name))
    return found
