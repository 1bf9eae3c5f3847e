"""What sandboxes have as /etc: copies of the host's files that programs need, and our own beside them.

Copies, since a bind of each file would cost every phase its time; they are looked through again
whenever a worker starts.
"""

import os
import shutil
import stat
from pathlib import Path

from codexsys_adapters.disks.alone import alone

UID = 10001
ONLINE = "resolv.conf.online"
"""Laid over the empty resolv.conf where there is a network."""
_HOSTS = (
    "alternatives", "ca-certificates", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime",
    "mime.types", "python3", "python3.11", "python3.12", "python3.13", "ssl/certs", "ssl/openssl.cnf",
)  # fmt: skip
_OURS = {
    "passwd": f"root:x:0:0:root:/root:/usr/sbin/nologin\nsandbox:x:{UID}:{UID}:sandbox:/app/home:/bin/bash\n",
    "group": f"root:x:0:\nsandbox:x:{UID}:\n",
    "hosts": "127.0.0.1 localhost sandbox\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "resolv.conf": "",
    ONLINE: "nameserver 10.0.2.3\n",
}
_ANYBODY = 0o004
_OPEN, _READABLE = 0o755, 0o644


def lay(folder: Path, *, host: Path = Path("/etc")) -> None:
    """Bring a folder up to date; sandboxes that use it see each file whole, the old or the new."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        _open_folder(folder)
        _open_folder(folder / "ssl")
        for name in _HOSTS:
            _follow(host / name, folder / name)
        for name, text in _OURS.items():
            draft = _draft(folder / name)
            draft.write_text(text)
            draft.chmod(_READABLE)
            draft.replace(folder / name)


def _open_folder(folder: Path) -> None:
    """Make a folder that everybody may read, whatever our umask is."""
    folder.mkdir(exist_ok=True)
    folder.chmod(_OPEN)


def _follow(source: Path, target: Path) -> None:
    """Make the target like the source; what not everybody may read is left out."""
    found, have = _look(source), _look(target)
    if found and stat.S_ISREG(found.st_mode) and not found.st_mode & _ANYBODY:
        found = None
    kind = stat.S_IFMT(found.st_mode) if found else 0
    if have and stat.S_IFMT(have.st_mode) != kind:
        _remove(target)
    if found is None:
        return
    if kind == stat.S_IFLNK:
        _follow_link(source, target)
    elif kind == stat.S_IFDIR:
        _follow_folder(source, target)
    elif kind == stat.S_IFREG:
        _follow_file(source, target, found)


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None


def _follow_folder(source: Path, target: Path) -> None:
    _open_folder(target)
    names = {path.name for path in source.iterdir()}
    for path in list(target.iterdir()):
        if path.name not in names:
            _remove(path)
    for name in names:
        _follow(source / name, target / name)


def _follow_link(source: Path, target: Path) -> None:
    leads = source.readlink()
    if target.is_symlink() and target.readlink() == leads:
        return
    draft = _draft(target)
    draft.symlink_to(leads)
    draft.replace(target)


def _follow_file(source: Path, target: Path, found: os.stat_result) -> None:
    have = _look(target)
    if have and (have.st_size, have.st_mtime_ns) == (found.st_size, found.st_mtime_ns):
        return
    draft = _draft(target)
    shutil.copyfile(source, draft)
    draft.chmod(_READABLE)
    os.utime(draft, ns=(found.st_atime_ns, found.st_mtime_ns))
    draft.replace(target)


def _draft(target: Path) -> Path:
    draft = target.with_name(f"{target.name}~")
    draft.unlink(missing_ok=True)
    return draft


def _remove(target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink(missing_ok=True)
