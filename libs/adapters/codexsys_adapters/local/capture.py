"""What a phase says, taken from its pipe into a file up to a cap."""

import os
import select
from pathlib import Path
from types import TracebackType
from typing import IO

_CHUNK = 65_536
_TAIL = 500
_ERROR_BYTES = 4096


class Capture:
    """Standard output into a file; standard error, where it comes apart, into a few bytes."""

    def __init__(self, out: IO[bytes], err: IO[bytes] | None, path: Path, cap: int) -> None:
        self.exceeded: str | None = None
        self._out = out
        self._pipes = {out.fileno(): out} | ({err.fileno(): err} if err else {})
        self._file = path.open("wb", buffering=0)
        self._left = cap
        self._tail = b""
        self._errors = b""

    def __enter__(self) -> "Capture":
        for number in self._pipes:
            os.set_blocking(number, False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        for pipe in self._pipes.values():
            pipe.close()

    def register(self, poll: select.poll) -> None:
        """Have the poll wake up when there is something to take."""
        for number in self._pipes:
            poll.register(number, select.POLLIN)

    def take(self, ready: set[int], poll: select.poll) -> None:
        """Take what is there."""
        for number in ready & self._pipes.keys():
            if self._read(number) == b"":
                poll.unregister(number)

    def drain(self) -> None:
        """Take what is left, once nothing can write any more."""
        for number in self._pipes:
            while self._read(number):
                pass

    def tail(self) -> str:
        """Return the last words, for a sentence about what went wrong."""
        return (self._errors or self._tail).decode(errors="replace").strip()[-_TAIL:]

    def _read(self, number: int) -> bytes | None:
        """Return what came, nothing at the end, None when there is nothing now."""
        try:
            data = os.read(number, _CHUNK)
        except BlockingIOError:
            return None
        if number != self._out.fileno():
            self._errors = (self._errors + data)[-_ERROR_BYTES:]
        else:
            self._keep(data)
        return data

    def _keep(self, data: bytes) -> None:
        kept = data[: self._left]
        self._file.write(kept)
        self._left -= len(kept)
        self._tail = (self._tail + data)[-_TAIL:]
        if len(kept) < len(data):
            self.exceeded = "output_limit"
