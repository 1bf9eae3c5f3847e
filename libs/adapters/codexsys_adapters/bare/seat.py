"""Who is at /app: without a mount namespace one place is all there is, and sandboxes take turns at it."""

import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

_APP = Path("/app")
_OWN = ("code", "output", "home")
_ALL = (*_OWN, "base.git", "input")
_ASIDE = _APP / ".codexsys"


class Seat:
    """Folders of sandboxes that wait stand aside, where only root may enter."""

    def __init__(self) -> None:
        self._sitting = ""
        self._lock = -1
        self._made = False

    def problem(self) -> str:
        """Return why /app cannot be used; empty when it can."""
        taken = [name for name in _ALL if os.path.lexists(_APP / name)]
        if taken:
            return f"the agent works in /app, where there is already: {', '.join(taken)}"
        return (
            "" if os.access(_APP if _APP.exists() else "/", os.W_OK) else "/app cannot be written"
        )

    def make(self, sandbox_id: str, user: int) -> Path:
        """Make a sandbox's folders aside and return where."""
        self._open()
        folders = _ASIDE / sandbox_id
        folders.mkdir(mode=0o755, exist_ok=True)
        for name in _OWN:
            (folders / name).mkdir(mode=0o755, exist_ok=True)
            os.chown(folders / name, user, user)
        (folders / "input").mkdir(mode=0o755, exist_ok=True)
        return folders

    def take(self, sandbox_id: str) -> None:
        """Let this sandbox's folders be the ones at /app."""
        if self._sitting == sandbox_id:
            return
        self._rise()
        for name in _ALL:
            (_ASIDE / sandbox_id / name).rename(_APP / name)
        self._sitting = sandbox_id

    def lay_input(self, files: Mapping[str, bytes]) -> None:
        """Replace what is at /app/input; it is root's."""
        folder = _APP / "input"
        shutil.rmtree(folder)
        folder.mkdir(mode=0o755)
        for name, data in files.items():
            target = folder / name
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            target.write_bytes(data)
            target.chmod(0o755 if data.startswith(b"#!") else 0o644)

    def clear(self, sandbox_id: str, *, last: bool) -> None:
        """Remove a sandbox's folders, and with the last ones what we have made for them."""
        if self._sitting == sandbox_id:
            self._rise()
        shutil.rmtree(_ASIDE / sandbox_id, ignore_errors=True)
        if last and self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
            shutil.rmtree(_ASIDE, ignore_errors=True)
            if self._made:
                _APP.rmdir()

    def _rise(self) -> None:
        if not self._sitting:
            return
        for name in _ALL:
            (_APP / name).rename(_ASIDE / self._sitting / name)
        self._sitting = ""

    def _open(self) -> None:
        """Have the place for ourselves, as long as we live."""
        if self._lock >= 0:
            return
        self._made = self._made or not _APP.exists()
        _ASIDE.mkdir(mode=0o755, parents=True, exist_ok=True)
        _ASIDE.chmod(0o700)
        lock = os.open(_ASIDE / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise OSError("another run is at /app") from None
        self._lock = lock
