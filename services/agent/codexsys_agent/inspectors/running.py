"""Runs one tool on hostile settings: bounded in time and output, and nothing of it goes on running."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SECONDS = 60.0
"""For one call."""
MOST_SAID = 4 << 20
"""Bytes of stdout and of stderr that are read of one call."""
_PLACES = (".venv/bin", "venv/bin", "node_modules/.bin")
_LONGEST_DRAIN = 5.0


@dataclass(frozen=True, slots=True)
class Ran:
    """How a call ended."""

    code: int
    out: str
    err: str
    trouble: str = ""
    """Why it did not come to its own end, empty when it did."""


class Tools:
    """The programs that setup left in a workspace, and those of the sandbox; none that the change brings."""

    def __init__(
        self,
        *,
        code: Path,
        env: Mapping[str, str],
        changed: frozenset[str],
        until: float,
        settled: Callable[[], bool] = lambda: True,
    ) -> None:
        self.code = code
        self._env = {**env, "NO_COLOR": "1", "CI": "1"}
        self._changed = changed
        self._until = until
        """On the monotonic clock."""
        self._settled = settled

    def find(self, program: str, folder: Path) -> str | None:
        """Return a program's path: of the nearest folder that has it, else of the sandbox."""
        for place in (folder, *folder.parents):
            if not place.is_relative_to(self.code):
                break
            for name in _PLACES:
                file = place / name / program
                brought = file.relative_to(self.code).as_posix() in self._changed
                if not brought and file.is_file() and os.access(file, os.X_OK):
                    return str(file)
        return shutil.which(program, path=self._env.get("PATH"))

    def run(self, argv: Sequence[str], folder: Path) -> Ran:
        """Run to the end, or to a limit."""
        seconds = min(SECONDS, self._until - time.monotonic())
        if seconds <= 0:
            return Ran(-1, "", "", "was not run: there was no time left")
        try:
            process = subprocess.Popen(
                argv,
                cwd=folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return Ran(-1, "", "", f"could not be started ({error.strerror})")
        return self._heard(process, seconds)

    def _heard(self, process: "subprocess.Popen[bytes]", seconds: float) -> Ran:
        heard = [_Heard(pipe, process) for pipe in (process.stdout, process.stderr) if pipe]
        trouble = ""
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            trouble = f"was ended after {seconds:.0f} s"
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        self._settled()
        out, err = (each.text() for each in heard)
        if any(each.full for each in heard):
            trouble = "said more than is read"
        return Ran(process.returncode, out, err, trouble)


class _Heard:
    """One pipe's text; who says too much is killed."""

    def __init__(self, pipe: IO[bytes], process: "subprocess.Popen[bytes]") -> None:
        self.full = False
        self._data = bytearray()
        self._process = process
        self._thread = threading.Thread(target=self._drain, args=(pipe,), daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join(_LONGEST_DRAIN)
        return self._data.decode("utf-8", "replace")

    def _drain(self, pipe: IO[bytes]) -> None:
        with pipe:
            while piece := os.read(pipe.fileno(), 65_536):
                if len(self._data) + len(piece) > MOST_SAID:
                    self.full = True
                    self._process.kill()
                    return
                self._data += piece
