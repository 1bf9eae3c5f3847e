"""Folders for what is under way, inside one that is locked for as long as this process lives."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "lock"


class Folders:
    """Gives each work a folder of its own, and clears away those of processes that died here.

    Whoever can take the lock in a process's folder knows that its owner is gone: the kernel frees it
    with the process, however that ended. Age says nothing, for a work may take hours.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._own: Path | None = None
        self._lock = -1

    def open(self) -> None:
        """Remove what the dead left, then take a folder."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for left in self._root.iterdir():
            _clear_if_dead(left)
        while self._own is None:
            self._take()

    def new(self, kind: str = "work") -> Path:
        """Make a folder for one work; its owner removes it when the work is over."""
        return Path(tempfile.mkdtemp(dir=self._own, prefix=f"{kind}-"))

    @contextmanager
    def work(self, kind: str) -> Iterator[Path]:
        """Make a folder that is gone when the block ends."""
        folder = self.new(kind)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove the own folder; the works in it are over."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)
            os.close(self._lock)
            self._own, self._lock = None, -1

    def _take(self) -> None:
        folder = Path(tempfile.mkdtemp(dir=self._root, prefix="process-"))
        lock = _locked(folder)
        if lock is not None:  # else another process that starts took it for a dead one's
            self._own, self._lock = folder, lock


def _clear_if_dead(folder: Path) -> None:
    lock = _locked(folder)
    if lock is not None:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> int | None:
    """Take the folder's lock; None when somebody has it, or removed the folder meanwhile."""
    path = folder / _LOCK
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except (FileNotFoundError, NotADirectoryError, PermissionError):  # another user's, perhaps
        return None
    with suppress(BlockingIOError, FileNotFoundError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), path.stat()):
            return lock
    os.close(lock)
    return None
