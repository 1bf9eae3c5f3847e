"""All that a user has on this machine: its processes, and its files where anybody may write."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

_SHARED = tuple(map(Path, ("/tmp", "/var/tmp", "/dev/shm")))  # noqa: S108 - to be cleared
_SECONDS = 20.0
_PAUSE_SECONDS = 0.01
_KILL = (
    "import os, sys; user = int(sys.argv[1]); os.setgroups([]); os.setresgid(user, user, user); "
    "os.setresuid(user, user, user); os.kill(-1, 9)"
)


def end_all(user: int) -> None:
    """Kill every process of the user; OSError when one does not die.

    A child of ours becomes the user and kills all at once, so that none can outrun it by forking.
    """
    end = time.monotonic() + _SECONDS
    while _alive(user):
        if time.monotonic() > end:
            raise OSError("processes of the phase do not end")
        _kill_as(user)
        time.sleep(_PAUSE_SECONDS)


def clear_shared(user: int) -> None:
    """Remove the user's files from folders that all users share; none of its processes is alive."""
    for place in _SHARED:
        with contextlib.suppress(OSError):
            for entry in os.scandir(place):
                if entry.stat(follow_symlinks=False).st_uid != user:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    Path(entry.path).unlink(missing_ok=True)


def _alive(user: int) -> bool:
    for name in os.listdir("/proc"):  # noqa: PTH208 - processes come and go
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{name}/status").read_text()
            fields = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
            if fields["Uid"].split()[0] == str(user) and fields["State"][0] not in "ZX":
                return True
    return False


def _kill_as(user: int) -> None:
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", _KILL, str(user)],
        env={},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
