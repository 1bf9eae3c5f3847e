"""One sandbox's folder, seen from outside: made, asked through its socket, read, removed."""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codexsys_adapters.disks import copies, trees
from codexsys_adapters.disks.alone import alone
from codexsys_adapters.disks.image import Disk
from codexsys_adapters.local import ground, limits
from codexsys_adapters.local.supervisor import GROUP, LOCK, SOCKET
from codexsys_adapters.local.supervisors import Supervisors
from codexsys_adapters.walls import inputs
from codexsys_core.errors import SandboxError

_END_SECONDS = 15.0
_POLL_SECONDS = 0.01


def names(root: Path) -> list[str]:
    """Return the names of all sandboxes' folders."""
    if not root.is_dir():
        return []
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir())


class Folder:
    """The folder of one sandbox; root's alone, but for what its user may write."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def exists(self) -> bool:
        """Say whether it was made and not removed."""
        return (self._path / "spec.json").exists()

    def supervised(self) -> bool:
        """Say whether a supervisor holds the folder's lock."""
        try:
            with (self._path / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def make(self, setup: dict[str, Any], base: Path, token: str, supervisors: Supervisors) -> None:
        """Make what is missing and start the supervisor; one that has gone is not followed."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with alone(self._path):
            if self.supervised():
                return
            if (self._path / LOCK).exists():
                raise SandboxError("the sandbox's supervisor has gone", code="sandbox_lost")
            try:
                self._fill(setup, base, token)
                supervisors.supervise(self._path.resolve())
            except (OSError, subprocess.SubprocessError) as error:
                raise SandboxError(f"the sandbox could not be made: {error}") from error

    def stands_on(self) -> str | None:
        """Return the layer that the sandbox's files began with."""
        return ground.stands_on(self._path)

    def _fill(self, setup: dict[str, Any], base: Path, token: str) -> None:
        copies.tree(base, self._path / "base.git", setup["uid"])  # git trusts what is its user's
        for name in ("files", "phases"):
            (self._path / name).mkdir(exist_ok=True)
        if setup["disk"]:
            allowed = setup["limits"]
            Disk(self._path).make(
                megabytes=allowed["disk_mb"],
                inodes=allowed["inodes"],
                blanks=Path(setup["blanks"]),
            )
        _write_private(self._path / "token", token)
        _write_private(self._path / "spec.json", json.dumps(setup))

    def lay_down(self, told: dict[str, Any], files: dict[str, bytes]) -> None:
        """Write a phase and its files, unless it is there already."""
        phases = self._path / "phases"
        note = phases / f"{told['name']}.json"
        if note.exists():
            return
        inputs.lay_down(phases / f"{told['name']}.in", files)
        draft = note.with_suffix(f".json~{secrets.token_hex(4)}")
        _write_private(draft, json.dumps(told))
        draft.replace(note)

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the supervisor's answer; sandbox_lost when there is none."""
        try:
            with _socket_of(self._path) as path:
                reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(json.dumps(request).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
        except OSError as error:
            raise SandboxError(f"the supervisor is gone: {error}", code="sandbox_lost") from error
        if not line:
            raise SandboxError("the supervisor went away", code="sandbox_lost")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end_of(self, phase: str) -> dict[str, Any] | None:
        """Return how a phase ended, None while it has not."""
        try:
            end: dict[str, Any] = json.loads((self._path / "phases" / f"{phase}.end").read_text())
        except FileNotFoundError:
            return None
        return end

    def output_of(self, phase: str, offset: int, limit: int) -> bytes:
        """Return what a phase said from an offset on."""
        try:
            with (self._path / "phases" / f"{phase}.out").open("rb") as file:
                file.seek(offset)
                return file.read(limit)
        except FileNotFoundError:
            return b""

    def destroy(self) -> None:
        """End the supervisor, kill what it kept, remove everything; no error when it is not there."""
        if self.supervised():
            self._end_supervisor()
        group = limits.written_down(self._path / GROUP)
        if group:
            group.remove()
        if self._path.exists():
            try:
                _remove(self._path)
            except (OSError, subprocess.SubprocessError) as error:
                raise SandboxError(f"could not be removed: {error}") from error

    def _end_supervisor(self) -> None:
        with (
            contextlib.suppress(OSError),  # it may be stuck or gone
            _socket_of(self._path) as path,
            socket.socket(socket.AF_UNIX) as client,
        ):
            client.settimeout(_END_SECONDS)
            client.connect(path)
            client.sendall(b'{"do": "end"}\n')
        if self._gone_within(_END_SECONDS):
            return
        with contextlib.suppress(ProcessLookupError, ValueError):  # it has just ended
            os.kill(int((self._path / LOCK).read_text()), signal.SIGKILL)
        if not self._gone_within(_END_SECONDS):
            raise SandboxError("the supervisor does not end")

    def _gone_within(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.supervised():
            if time.monotonic() > end:
                return False
            time.sleep(_POLL_SECONDS)
        return True


@contextlib.contextmanager
def _socket_of(path: Path) -> Iterator[str]:
    """Give a short path of the socket: a unix socket's path has at most 107 bytes."""
    descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{SOCKET}"
    finally:
        os.close(descriptor)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _remove(path: Path) -> None:
    """Remove a folder with what others wrote: ours in a cage, root's without following a link."""
    if os.geteuid() != 0:
        trees.remove(path)
        return
    argv = ["/bin/rm", "-rf", "--one-file-system", "--", str(path)]
    removed = subprocess.run(
        argv, env={}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if removed.returncode != 0:
        raise OSError(removed.stderr.decode(errors="replace")[-300:])
