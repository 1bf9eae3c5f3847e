"""How much room a sandbox's folders take, looked at every second beside the phase."""

import subprocess
import threading
from pathlib import Path
from types import TracebackType

_FOLDERS = ("code", "output", "home")
_EVERY_SECONDS = 1.0
_LONGEST_SECONDS = 60.0


class DiskWatch:
    """Looks from a thread of its own, so that a large tree does not hold up the phase."""

    def __init__(self, folder: Path, most_mb: int) -> None:
        self._folder = folder
        self._most = most_mb
        self._full = False
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "DiskWatch":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()

    def full(self) -> bool:
        """Say whether the folders have outgrown their limit."""
        return self._full

    def _look(self) -> None:
        while not self._done.wait(_EVERY_SECONDS):
            if used_mb(self._folder) > self._most:
                self._full = True
                return


def used_mb(folder: Path) -> int:
    """Return what du counts: it neither follows links nor opens files, and knows no depth limit."""
    argv = ["/usr/bin/du", "-scxm", "--", *_FOLDERS]
    counted = subprocess.run(
        argv,
        env={},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=_LONGEST_SECONDS,
    )
    lines = counted.stdout.split(b"\n")
    return int(lines[-2].split()[0]) if len(lines) > 1 else 0
