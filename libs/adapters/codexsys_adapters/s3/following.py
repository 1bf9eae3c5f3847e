"""A growing file as the body of a request, which ends rather than wait for one that hardly grows."""

import io

from typing_extensions import override

from codexsys_core.growing import STALL_SECONDS, GivenUp, Growing, Pace

HELD_SECONDS = 10.0
"""So long for the word that lets the last byte go: servers end connections on which nothing comes."""


class Following(io.RawIOBase):
    """Reads behind whoever writes; raises `GivenUp`, upon which the connection is cut before the object is whole."""

    def __init__(self, growing: Growing) -> None:
        super().__init__()
        self._growing = growing
        self._file = io.FileIO(growing.path)
        self._at = 0
        self._piece = memoryview(b"")
        self._pace = Pace()

    @override
    def read(self, size: int = -1, /) -> bytes | memoryview:
        """Return the next bytes, none at the end; they are good until the next are asked for."""
        left = self._growing.size - self._at
        if not left:
            return b""
        patience = HELD_SECONDS if left == 1 else STALL_SECONDS
        end = self._growing.readable(self._at, patience)
        if left > 1:
            self._pace.keep(self._at)
        if size > len(self._piece):
            self._piece = memoryview(bytearray(size))
        count = self._file.readinto(self._piece[: min(size, end - self._at)])
        if not count:
            raise GivenUp  # somebody made it shorter
        self._at += count
        return self._piece[:count]

    @override
    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()
