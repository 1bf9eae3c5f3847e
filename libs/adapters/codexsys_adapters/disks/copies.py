"""Copies of files that share their blocks where the file system can, and stay sparse where not."""

import contextlib
import errno
import fcntl
import os
from pathlib import Path

_CLONE = 0x40049409  # FICLONE
_CHUNK = 64 << 20


def sparse(source: Path, target: Path) -> None:
    """Copy a file; OSError leaves a target that is not whole."""
    with source.open("rb") as given, target.open("xb") as made:
        try:
            fcntl.ioctl(made, _CLONE, given.fileno())
        except OSError:  # another file system, or one that cannot share
            _copy_data(given.fileno(), made.fileno())
        os.fsync(made.fileno())


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
