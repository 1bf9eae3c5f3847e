"""A folder as a zip, without what Git ignores."""

import os
import subprocess
import zipfile
from pathlib import Path

_GIT_ENV = {
    "PATH": os.defpath,
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
}


class NothingToPack(Exception):
    """There is no file to send."""


def pack(folder: Path, into: Path) -> int:
    """Write the folder's files to a zip and return how many they are."""
    names = _by_git(folder)
    if names is None:
        names = _by_walk(folder)
    number = 0
    with zipfile.ZipFile(into, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        for name in names:
            path = folder / name
            # A link could lead out of the folder, and the platform refuses them anyway.
            if path.is_file() and not path.is_symlink():
                archive.write(path, name)
                number += 1
    if not number:
        raise NothingToPack(f"{folder} holds no file that could be sent")
    return number


def _by_git(folder: Path) -> list[str] | None:
    """Return what Git tracks or would add; None where this is no work tree."""
    command = ["git", "-c", "core.fsmonitor=false", "-c", f"safe.directory={folder}"]
    command += ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=_GIT_ENV,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError:
        return None
    if done.returncode:
        return None
    return sorted({os.fsdecode(name) for name in done.stdout.split(b"\0") if name})


def _by_walk(folder: Path) -> list[str]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        found += [str((Path(place) / name).relative_to(folder)) for name in files]
    return sorted(found)
