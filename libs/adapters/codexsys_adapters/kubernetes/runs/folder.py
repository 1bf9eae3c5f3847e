"""A folder that goes into a pod, and what comes back: everything in there is hostile.

No name leads out of the folder, no link is followed, none is made that leads out; nothing is written in
`.git`, whose hooks and settings are programs here; what changed here meanwhile is left alone; only what
went in is ever removed.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from codexsys_core.errors import Invalid

MOST_BYTES = 4 << 30
_MOST_ENTRIES = 500_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ROOM = "more came back than can be taken"


@dataclass
class Changes:
    """What coming back did here."""

    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What was not taken in, each with why."""


@dataclass(frozen=True)
class _Sent:
    """One file or link as it went in."""

    content: str
    mark: tuple[int, ...]
    """What of its status here changes when it does."""


class Folder:
    """One folder on this side."""

    def __init__(self, root: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._root = root
        self._most_bytes = most_bytes
        self._sent: dict[str, _Sent] = {}
        self._folders: set[str] = set()

    def pack(self, into: IO[bytes]) -> None:
        """Write everything in it as a tar archive, and remember what that was."""
        with tarfile.open(fileobj=into, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for place, folders, files in os.walk(self._root):
                folders.sort()
                for name in sorted([*folders, *files]):
                    self._add(archive, Path(place, name))

    def take(self, archive: IO[bytes]) -> Changes:
        """Make the folder what the archive says, as far as that is safe."""
        try:
            with tarfile.open(fileobj=archive, mode="r:") as opened:
                return _Return(opened, self._sent, self._folders, self._most_bytes).take(self._root)
        except tarfile.TarError as error:
            raise Invalid(f"--sync: what came back cannot be read: {error}") from error

    def _add(self, archive: tarfile.TarFile, path: Path) -> None:
        name = str(path.relative_to(self._root))
        status = path.lstat()
        member = tarfile.TarInfo(name)
        member.mtime = int(status.st_mtime)
        member.mode = 0o777 if stat.S_ISDIR(status.st_mode) or status.st_mode & 0o100 else 0o666
        if stat.S_ISDIR(status.st_mode):
            member.type = tarfile.DIRTYPE
            self._folders.add(name)
            archive.addfile(member)
        elif stat.S_ISLNK(status.st_mode):
            member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
            self._sent[name] = _Sent(_link(member.linkname), _mark(status))
            archive.addfile(member)
        elif stat.S_ISREG(status.st_mode):
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                self._sent[name] = _Sent(_content(file, status.st_mode), _mark(status))
                file.seek(0)
                member.size = status.st_size
                archive.addfile(member, file)


class _Return:
    """One archive that came back."""

    def __init__(
        self, archive: tarfile.TarFile, sent: dict[str, _Sent], folders: set[str], room: int
    ) -> None:
        self._archive = archive
        self._sent = sent
        self._folders = folders
        self._room = room
        self._temporary = f".codexsys-{secrets.token_hex(8)}"
        self._changes = Changes()

    def take(self, root: Path) -> Changes:
        """Remove what is not there any more, then take in what is."""
        members = self._members()
        with _opened(root) as top:
            self._remove(top, members)
            for name, member in members.items():
                try:
                    why = self._refused(name, member) or self._take_in(top, name, member)
                except OSError as error:
                    why = error.strerror or type(error).__name__
                if why:
                    self._changes.left.append(f"{name}: {why}")
        return self._changes

    def _members(self) -> dict[str, tarfile.TarInfo]:
        found: dict[str, tarfile.TarInfo] = {}
        for number, member in enumerate(self._archive):
            if number >= _MOST_ENTRIES:
                raise tarfile.ReadError(_ROOM)
            name = _plain(member.name)
            if name is None:
                self._changes.left.append(f"{member.name!r}: leads out of the folder")
            elif name:
                found[name] = member
        return found

    def _refused(self, name: str, member: tarfile.TarInfo) -> str:
        if not (member.isreg() or member.islnk() or member.isdir() or member.issym()):
            return "is neither file, folder nor link"
        if _is_git(name):
            return (
                "" if self._as_it_was(name, member) else "belongs to Git, and stays as it is here"
            )
        if member.issym() and not self._as_it_was(name, member) and not _stays(name, member):
            return f"is a link to {member.linkname!r}, out of the folder"
        return ""

    def _as_it_was(self, name: str, member: tarfile.TarInfo) -> bool:
        if member.isdir():
            return name in self._folders
        return name in self._sent and self._sent[name].content == self._content(member)

    def _content(self, member: tarfile.TarInfo) -> str:
        if member.issym():
            return _link(member.linkname)
        return _content(self._file(member), member.mode)

    def _file(self, member: tarfile.TarInfo) -> IO[bytes]:
        """Return a file's content; that of a second name is the first one's, inside the archive."""
        try:
            file = self._archive.extractfile(member)
        except (KeyError, RecursionError):
            file = None
        if file is None or member.issparse():
            raise OSError(0, "has no content of its own")
        return file

    def _take_in(self, top: int, name: str, member: tarfile.TarInfo) -> str:
        """Take one entry in; return why not, or nothing."""
        if self._as_it_was(name, member):
            return ""
        with _parent(top, name) as (parent, last):
            now = _status(parent, last)
            if member.isdir() and now is not None and stat.S_ISDIR(now.st_mode):
                return ""
            if self._changed_here(name, now):
                return "changed here meanwhile"
            if member.isdir():
                if now is not None:
                    os.unlink(last, dir_fd=parent)
                os.mkdir(last, 0o777, dir_fd=parent)
            else:
                self._write(parent, last, member)
        if not member.isdir():
            self._changes.written.append(name)
        return ""

    def _write(self, parent: int, last: str, member: tarfile.TarInfo) -> None:
        """Put a file or a link in the place of whatever has its name, in one step."""
        here = self._temporary
        try:
            if member.issym():
                os.symlink(member.linkname, here, dir_fd=parent)
            else:
                source = self._counted(member)
                mode = 0o777 if member.mode & 0o100 else 0o666
                with os.fdopen(os.open(here, _NEW, mode, dir_fd=parent), "wb") as file:
                    shutil.copyfileobj(source, file)
            os.rename(here, last, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(here, dir_fd=parent)
            raise

    def _counted(self, member: tarfile.TarInfo) -> IO[bytes]:
        """Return a file's content when there is room for it: many names may have the same."""
        source = self._file(member)
        self._room -= source.seek(0, os.SEEK_END)
        source.seek(0)
        if self._room < 0:
            raise tarfile.ReadError(_ROOM)
        return source

    def _changed_here(self, name: str, now: os.stat_result | None) -> bool:
        """Say whether it is another one here than what went in, or is there and did not go in."""
        if now is None:
            return name in self._sent
        return name not in self._sent or self._sent[name].mark != _mark(now)

    def _remove(self, top: int, members: dict[str, tarfile.TarInfo]) -> None:
        for name in sorted(set(self._sent) - set(members), reverse=True):
            with contextlib.suppress(OSError), _parent(top, name) as (parent, last):
                now = _status(parent, last)
                if _is_git(name):
                    self._changes.left.append(f"{name}: was removed, but belongs to Git")
                elif self._changed_here(name, now):
                    self._changes.left.append(f"{name}: was removed, but changed here meanwhile")
                else:
                    os.unlink(last, dir_fd=parent)
                    self._changes.removed.append(name)
        kept = {name for name, member in members.items() if member.isdir()}
        for name in sorted(self._folders - kept, reverse=True):
            if not _is_git(name):
                with contextlib.suppress(OSError), _parent(top, name) as (parent, last):
                    os.rmdir(last, dir_fd=parent)  # only when nothing is left in it


@contextlib.contextmanager
def _opened(root: Path) -> Iterator[int]:
    top = os.open(root, _FOLDER & ~os.O_NOFOLLOW)
    try:
        yield top
    finally:
        os.close(top)


@contextlib.contextmanager
def _parent(top: int, name: str) -> Iterator[tuple[int, str]]:
    """Open the folder that a name is in, through folders alone: a link on the way is an OSError."""
    *folders, last = name.split("/")
    here = os.dup(top)
    try:
        for each in folders:
            there = os.open(each, _FOLDER, dir_fd=here)
            os.close(here)
            here = there
        yield here, last
    finally:
        os.close(here)


def _plain(name: str) -> str | None:
    """Return a name without its empty parts, None when it leads elsewhere."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        return None
    return "/".join(parts)


def _stays(name: str, member: tarfile.TarInfo) -> bool:
    """Say whether a link leads to something in the folder, whatever its parts are links to themselves.

    Only at its beginning may it go up: there the way is known to go through folders.
    """
    target = member.linkname
    parts = [part for part in target.split("/") if part not in ("", ".")]
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    within = ".." not in parts[up:] and up <= name.count("/")
    return within and not target.startswith("/") and "\0" not in target and not _is_git(target)


def _is_git(name: str) -> bool:
    return any(part.lower().rstrip(". ") == ".git" for part in name.split("/"))


def _content(file: IO[bytes], mode: int) -> str:
    return f"file {bool(mode & 0o100)} {hashlib.file_digest(file, 'sha256').hexdigest()}"  # type: ignore[arg-type]


def _link(target: str) -> str:
    return f"link {target}"


def _mark(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _status(parent: int, last: str) -> os.stat_result | None:
    try:
        return os.stat(last, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
