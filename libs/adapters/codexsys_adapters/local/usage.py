"""How much room is left to a sandbox's files: the disk says it, or somebody counts beside the phase."""

import contextlib
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Protocol

from codexsys_adapters.disks import trees
from codexsys_adapters.disks.image import FOLDERS, Disk

_FULL_BYTES = 1 << 20  # less is left when a program's write has failed
_EVERY_SECONDS = 1.0
_TIMES_COUNTING = 3  # a large tree is counted more seldom, or counting is all that happens


class Usage(Protocol):
    """Watches the room beside one phase; a context."""

    def __enter__(self) -> "Usage":
        """Begin to watch."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer."""

    @property
    def outgrown(self) -> bool:
        """Say whether the phase has to end, since nothing else stops it."""

    @property
    def full(self) -> bool:
        """Say whether there is no room now; asked once the phase is over."""


class UnknownUsage:
    """Of plain folders into which nobody looks."""

    outgrown = full = False

    def __enter__(self) -> "UnknownUsage":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing was begun."""


class DiskUsage:
    """Of a disk with a size: the kernel stops what wants more, and we only look at the end."""

    outgrown = False

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __enter__(self) -> "DiskUsage":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Nothing was begun."""

    @property
    def full(self) -> bool:
        room = self._disk.room()
        return room.bytes < _FULL_BYTES or room.inodes == 0


class FolderUsage:
    """Of plain folders: counted every second in a cage, by a thread that holds nobody up."""

    def __init__(self, files: Path, *, megabytes: int, inodes: int) -> None:
        self._folders = {name: files / name for name in FOLDERS}
        self._most_bytes = megabytes << 20
        self._most_inodes = inodes
        self._outgrown = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "FolderUsage":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()

    @property
    def outgrown(self) -> bool:
        return self._outgrown

    @property
    def full(self) -> bool:
        with contextlib.suppress(OSError):  # then we cannot tell
            self._count(spare=_FULL_BYTES)
        return self._outgrown

    def _look(self) -> None:
        pause = _EVERY_SECONDS
        while not self._outgrown and not self._done.wait(pause):
            began = time.monotonic()
            with contextlib.suppress(OSError):  # the tree changed under the count, or we are ended
                self._count()
            pause = max(_EVERY_SECONDS, _TIMES_COUNTING * (time.monotonic() - began))

    def _count(self, *, spare: int = 0) -> None:
        try:
            size, inodes = trees.count(self._folders)
        except subprocess.TimeoutExpired:  # more than can be counted is more than is allowed
            self._outgrown = True
        else:
            self._outgrown = size + spare > self._most_bytes or inodes > self._most_inodes
