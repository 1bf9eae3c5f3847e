"""One sandbox's folder on the host: its disk, what its containers read, and how its phases ended."""

import asyncio
import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from codexsys_adapters.disks.image import Disk
from codexsys_adapters.disks.layers import Layer
from codexsys_adapters.walls import inputs
from codexsys_core.errors import SandboxError

_FOLDERS = ("code", "output", "home")
_FULL_BYTES = 1 << 20
_STARTING_SECONDS = 30.0
_PAUSE_SECONDS = 0.02


def names(root: Path) -> list[str]:
    """Return the names of all sandboxes' folders."""
    return sorted(entry.name for entry in root.iterdir() if entry.is_dir()) if root.is_dir() else []


class Folder:
    """The folder of one sandbox; root's alone, but for what its user may read or write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = path / "files"
        """code, output and home: on a disk of their own where we are root."""
        self.phases = path / "phases"
        self._disk = Disk(path)

    def exists(self) -> bool:
        """Say whether it was made and not removed."""
        return (self.path / "spec.json").exists()

    @property
    def setup(self) -> dict[str, Any]:
        """Return what the sandbox was made with; SandboxError when it is not there."""
        try:
            setup: dict[str, Any] = json.loads((self.path / "spec.json").read_text())
        except FileNotFoundError:
            raise _lost(self.path.name) from None
        return setup

    def make(
        self,
        setup: dict[str, Any],
        base: Path,
        *,
        token: str,
        etc: dict[str, str],
        layer: Layer | None,
    ) -> None:
        """Make it; `spec.json` comes last, so that a part of it is never taken for the whole."""
        try:
            self._fill(setup, base, token, etc, layer)
        except (OSError, subprocess.SubprocessError) as error:
            raise SandboxError(f"the sandbox's folder could not be made: {error}") from error

    def _fill(
        self,
        setup: dict[str, Any],
        base: Path,
        token: str,
        etc: dict[str, str],
        layer: Layer | None,
    ) -> None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.phases.mkdir(exist_ok=True)
        self.write_etc("", etc)
        if setup["root"]:
            limits = setup["limits"]
            self._disk.remove()  # of a worker that was killed in the middle of this
            self._disk.make(megabytes=limits["disk_mb"], inodes=limits["inodes"])
            self._disk.mount(owner=setup["uid"], layers=layer.images if layer else ())
        else:
            for name in _FOLDERS:
                (self.files / name).mkdir(parents=True, exist_ok=True)
        shutil.copytree(base, self.path / "base.git", dirs_exist_ok=True)
        if setup["root"]:
            _give_away(self.path / "base.git", setup["uid"], setup["gid"])
        self._write_for(self.path / "token", token, setup["door_uid"])
        self._write_for(self.path / "spec.json", json.dumps(setup), None)

    def etc(self, of: str) -> Path:
        """Return where the small files of /etc are: the phases', or a service's."""
        return self.path / (f"etc-{of}" if of else "etc")

    def write_etc(self, of: str, files: dict[str, str]) -> None:
        """Write small files of /etc."""
        self.etc(of).mkdir(exist_ok=True)
        for name, text in files.items():
            (self.etc(of) / name).write_text(text)

    def service_plan(self, name: str) -> Path:
        """Return what a service's first process reads."""
        return self.path / f"service-{name}.plan"

    def lay_down_service(self, name: str, plan: dict[str, Any], etc: dict[str, str]) -> None:
        """Write what a service's container reads."""
        self.write_etc(name, etc)
        self._write_for(self.service_plan(name), json.dumps(plan), self.setup["uid"])

    def lay_down(self, told: dict[str, Any], files: dict[str, bytes], plan: dict[str, Any]) -> None:
        """Write a phase, its plan and its files, unless it is there already."""
        note = self.phases / f"{told['name']}.json"
        if note.exists():
            return
        inputs.lay_down(self.inputs(told["name"]), files)
        self._write_for(self.plan(told["name"]), json.dumps(plan), self.setup["uid"])
        self._write_for(note, json.dumps(told), None)

    @contextlib.asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """Be the only worker that starts a phase here: the engine runs again what has just ended.

        One that was frozen at it is waited for for a while alone.
        """
        descriptor = os.open(self.phases, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STARTING_SECONDS):
                    while not _is_locked(descriptor):  # noqa: ASYNC110 - a lock tells nobody
                        await asyncio.sleep(_PAUSE_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def inputs(self, phase: str) -> Path:
        """Return where the files of a phase are."""
        return self.phases / f"{phase}.in"

    def plan(self, phase: str) -> Path:
        """Return what a phase's first process reads; the values of its environment are in it."""
        return self.phases / f"{phase}.plan"

    def told(self, phase: str) -> dict[str, Any] | None:
        """Return what was asked for, None when the phase was never started."""
        return _read(self.phases / f"{phase}.json")

    def end_of(self, phase: str) -> dict[str, Any] | None:
        """Return how a phase ended, None while it has not."""
        return _read(self.phases / f"{phase}.end")

    def note_end(self, phase: str, end: dict[str, Any]) -> None:
        """Write down how a phase ended; the folder may have been removed meanwhile."""
        with contextlib.suppress(FileNotFoundError):
            self._write_for(self.phases / f"{phase}.end", json.dumps(end), None)

    def note_kill(self, phase: str) -> None:
        """Write down that we kill a phase, before it is killed."""
        (self.phases / f"{phase}.killed").touch()

    def killed(self, phase: str) -> bool:
        """Say whether somebody wrote down that a phase is killed."""
        return (self.phases / f"{phase}.killed").exists()

    def full(self) -> bool:
        """Say whether the sandbox's disk is full."""
        try:
            room = self._disk.room()
        except OSError:  # a plain folder, or gone
            return False
        return room.bytes < _FULL_BYTES or room.inodes == 0

    def keep_into(self, draft: Path) -> None:
        """Copy the disk as it is now; OSError where it cannot be."""
        self._disk.keep(draft / "image")

    def remove(self) -> None:
        """Unmount and remove everything; no error when it is not there."""
        if not self.path.exists():
            return
        self._disk.remove()
        removed = subprocess.run(
            ["/bin/rm", "-rf", "--one-file-system", "--", str(self.path)],
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if removed.returncode != 0:
            raise SandboxError(f"could not be removed: {removed.stderr.decode()[-300:]}")

    def _write_for(self, path: Path, text: str, uid: int | None) -> None:
        """Write a file at once, for one user alone."""
        draft = path.with_name(f"{path.name}~{secrets.token_hex(4)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if uid is not None and os.geteuid() == 0:
                os.fchown(descriptor, uid, -1)
        draft.replace(path)


def _give_away(tree: Path, uid: int, gid: int) -> None:
    """Make the sandbox's user the owner of what it reads; nothing of it ran yet."""
    os.chown(tree, uid, gid)
    for folder, children, files in os.walk(tree):
        for name in (*children, *files):
            os.chown(Path(folder, name), uid, gid, follow_symlinks=False)


def _is_locked(descriptor: int) -> bool:
    """Lock a file for ourselves; say whether that could be."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found


def _lost(sandbox_id: str) -> SandboxError:
    return SandboxError(f"sandbox {sandbox_id} is not here", code="sandbox_lost")
