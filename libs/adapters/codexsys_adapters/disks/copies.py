"""Copies of files that share their blocks where the file system can, and stay sparse where not."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

_CLONE = 0x40049409  # FICLONE
_CHUNK = 64 << 20


def sparse(source: Path, target: Path, *, durable: bool = False) -> None:
    """Copy a file; OSError leaves a target that is not whole."""
    with source.open("rb", buffering=0) as given, target.open("xb", buffering=0) as made:
        _copy(given.fileno(), made.fileno())
        if durable:
            os.fsync(made.fileno())


def write_through(path: Path) -> None:
    """Return when a file would survive the loss of power."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def tree(source: Path, target: Path, owner: int) -> None:
    """Copy folders and files that are our own, and make them somebody else's; no links, no modes."""
    target.mkdir(mode=0o755, exist_ok=True)
    os.chown(target, owner, owner)
    with os.scandir(source) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                tree(Path(entry.path), target / entry.name, owner)
            elif entry.is_file(follow_symlinks=False):
                _copy_file(Path(entry.path), target / entry.name, owner)


def _copy_file(source: Path, target: Path, owner: int) -> None:
    with source.open("rb", buffering=0) as given, target.open("wb", buffering=0) as made:
        _copy(given.fileno(), made.fileno())
        os.fchown(made.fileno(), owner, owner)


def _copy(given: int, made: int) -> None:
    try:
        fcntl.ioctl(made, _CLONE, given)
    except OSError:  # another file system, or one that cannot share
        _copy_data(given, made)


def _copy_data(given: int, made: int) -> None:
    size = os.fstat(given).st_size
    os.truncate(made, size)
    with contextlib.suppress(_NothingMore):
        end = 0
        while True:
            start = _seek(given, end, os.SEEK_DATA)
            end = _seek(given, start, os.SEEK_HOLE)
            _copy_range(given, made, start, end)


class _NothingMore(Exception):
    """Raised when the rest of a file is a hole."""


def _seek(descriptor: int, offset: int, what: int) -> int:
    try:
        return os.lseek(descriptor, offset, what)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise _NothingMore from error
        raise


def _copy_range(given: int, made: int, start: int, end: int) -> None:
    while start < end:
        copied = os.copy_file_range(given, made, min(_CHUNK, end - start), start, start)
        if copied == 0:
            raise OSError("the file became shorter while it was copied")
        start += copied
