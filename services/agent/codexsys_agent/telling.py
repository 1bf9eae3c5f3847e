"""The pipe through which a runner tells what became of each test: what it has told, nobody can take back."""

import os
import shutil
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from codexsys_agent.junit_file import junit
from codexsys_agent.runners.call import Listener

_LONGEST_LINE = 1 << 20
_LARGEST = 32 << 20


class Telling:
    """Read to its end once everything that could write to it is dead."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._reader: threading.Thread | None = None
        self._listener: Listener | None = None
        self._report = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reader is None:
            os.close(self._reading)
            os.close(self.writing)

    def begin(self, listener: Listener | None) -> None:
        """Read from now on: a runner's output, or without a listener its report as it stands."""
        os.close(self.writing)
        self._listener = listener
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def write(self, place: Path) -> None:
        """Write the report that was told; nothing where there was none."""
        if self._reader is not None:
            self._reader.join()
        told = junit(self._listener.cases()) if self._listener else bytes(self._report)
        if told:
            with place.open("xb") as opened:
                opened.write(told)

    def _read(self) -> None:
        with os.fdopen(self._reading, "rb") as pipe:
            if self._listener:
                _hear(pipe, self._listener)
                return
            while piece := pipe.read1(1 << 16):
                self._report += piece[: _LARGEST + 1 - len(self._report)]


def clear(place: Path) -> None:
    """Take away whatever a command has put where the report goes."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)


def _hear(pipe: IO[bytes], listener: Listener) -> None:
    shown = sys.stdout.buffer
    while line := pipe.readline(_LONGEST_LINE):
        shown.write(listener.heard(line))
        shown.flush()
