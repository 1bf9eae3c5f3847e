"""How a supervisor is started for a folder."""

import os
import select
from pathlib import Path

from codexsys_adapters.nursery import TRIES, Nursery

READY = b"ready"
_READY_SECONDS = 600.0  # for an ordinary user, a layer is copied


class Supervisors:
    """Starts supervisors, from any thread."""

    def __init__(self) -> None:
        self._nursery = Nursery("codexsys_adapters.local.supervisor")

    def supervise(self, folder: Path) -> None:
        """Return when a supervisor keeps the folder; OSError says why none does."""
        said = b""
        for _ in range(TRIES):
            said = said or self._ask(folder)
        if said != READY:
            raise OSError(said.decode(errors="replace") or "no answer")

    def _ask(self, folder: Path) -> bytes:
        """Return what the new supervisor says; nothing when the nursery was gone."""
        ready, tell = os.pipe2(os.O_CLOEXEC)
        try:
            try:
                self._nursery.ask(os.fsencode(folder), tell)
            finally:
                os.close(tell)
            return _read(ready)
        finally:
            os.close(ready)


def _read(descriptor: int) -> bytes:
    """Return what is said until the other end is closed."""
    said = b""
    while select.select([descriptor], [], [], _READY_SECONDS)[0]:
        piece = os.read(descriptor, 4096)
        if not piece:
            return said
        said += piece
    return b"it takes too long"
