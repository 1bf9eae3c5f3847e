"""A sandbox's files as an ordinary user has them: plain folders, which only a cage may walk."""

import subprocess
from pathlib import Path

_SECONDS = 600.0
_COUNT_SECONDS = 60.0
_CAGE = (
    *("/usr/bin/bwrap", "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0"),
    *("--cap-drop", "ALL", "--cap-add", "CAP_DAC_OVERRIDE", "--cap-add", "CAP_DAC_READ_SEARCH"),
    *("--cap-add", "CAP_FOWNER", "--die-with-parent", "--new-session"),
    *("--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"),
    *("--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev", "--chdir", "/"),
)
"""Root over this user's own files and nothing else: closed folders do not stop it, links lead nowhere."""


def copy(source: Path, target: Path, *, durable: bool = False) -> None:
    """Copy a tree into a new folder; follows no link, shares blocks where the file system can."""
    target.mkdir(exist_ok=True)
    binds = ["--ro-bind", str(source), "/from", "--bind", str(target), "/to"]
    _caged([*binds, "/usr/bin/cp", "-a", "--reflink=auto", "--", "/from/.", "/to/"])
    if durable:
        _caged(["--ro-bind", str(target), "/to", "/usr/bin/sync", "-f", "--", "/to"])


def remove(folder: Path) -> None:
    """Remove a tree whatever its permissions, however deep."""
    binds = ["--bind", str(folder.parent), "/in"]
    _caged([*binds, "/usr/bin/rm", "-rf", "--one-file-system", "--", f"/in/{folder.name}"])


def size(folder: Path) -> int:
    """Return the bytes that a tree takes."""
    counted = _caged(["--ro-bind", str(folder), "/in", "/usr/bin/du", "-sxk", "--", "/in"])
    return int(counted.split()[0]) * 1024


def count(folders: dict[str, Path]) -> tuple[int, int]:
    """Return the bytes and the inodes of some trees; TimeoutExpired when that takes too long."""
    places = {f"/in/{name}": str(path) for name, path in folders.items()}
    binds = [word for place, path in places.items() for word in ("--ro-bind", path, place)]
    blocks, inodes = (
        _caged([*binds, "/usr/bin/du", "-scx", unit, "--", *places], _COUNT_SECONDS)
        for unit in ("-k", "--inodes")
    )
    return _total(blocks) * 1024, _total(inodes)


def _total(counted: str) -> int:
    return int(counted.splitlines()[-1].split()[0])


def _caged(argv: list[str], seconds: float = _SECONDS) -> str:
    done = subprocess.run(
        [*_CAGE, *argv],
        env={},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=seconds,
    )
    if done.returncode != 0:
        raise OSError(done.stderr.decode(errors="replace").strip()[-300:] or f"{argv[-1]} failed")
    return done.stdout.decode(errors="replace")
