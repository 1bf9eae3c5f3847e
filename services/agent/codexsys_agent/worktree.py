"""Reads a workspace that may be hostile into git entries, following nothing."""

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from codexsys_agent.changes import Change, changes, without
from codexsys_agent.private_git import Entry, PrivateGit

_CHUNK = 1 << 20
_GITLINK = "160000"
_FLAGGED = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One file or link that the walk met."""

    place: str
    status: os.stat_result


@dataclass(slots=True)
class Scan:
    """The entries of a workspace, and what was left out of them and why."""

    entries: dict[str, Entry]
    flags: dict[str, list[str]] = field(default_factory=dict)

    def flag(self, kind: str, path: str) -> None:
        """Name a path under a kind; a bounded number of them."""
        listed = self.flags.setdefault(kind, [])
        if len(listed) < _FLAGGED:
            listed.append(path)


@dataclass(frozen=True, slots=True)
class Taken:
    """A workspace as git sees it against its base."""

    tree: str
    patch: bytes
    changed: list[Change]
    flags: dict[str, list[str]]


class Worktree:
    """One workspace against its base; unchanged files are read once over many scans."""

    def __init__(self, *, code: Path, git: PrivateGit, largest: int) -> None:
        self._code = code
        self._git = git
        self._largest = largest
        self._known: dict[str, tuple[tuple[int, ...], Entry]] = {}
        self.base = git.base_entries()
        self._base_folders = _folders(self.base)

    def scan(self) -> Scan:
        """Every path that counts: tracked ones, and others that no ignore rule leaves out.

        A path is ignored when the base's rules say so or the workspace's do: the workspace
        cannot bring back what the base leaves out, and tools may hide their own caches.
        """
        scan = Scan({})
        found = self._walk(scan)
        others = [path for path in found if path not in self.base]
        ignored = self._git.ignored(self._base_rules(), others)
        ignored |= self._git.ignored(self._code, [p for p in others if p not in ignored])
        for path, file in found.items():
            if path not in ignored:
                self._add(scan, path, file)
        self._keep_unreadable(scan)
        for path, entry in self.base.items():
            if entry.mode == _GITLINK:
                scan.entries[path] = entry
        return scan

    def take(self, skip: Collection[tuple[str, str | None, str | None]]) -> Taken:
        """The workspace now, as a patch against the base without the changes in skip."""
        scan = self.scan()
        entries = without(self.base, scan.entries, skip)
        tree = self._git.write_tree(entries)
        return Taken(tree, self._git.patch(tree), changes(self.base, entries), scan.flags)

    def _base_rules(self) -> Path:
        folder = self._git.folder / "base-rules"
        if folder.exists():
            return folder
        folder.mkdir()
        for path, entry in self.base.items():
            if path.rpartition("/")[2] == ".gitignore" and entry.mode.startswith("100"):
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(self._git.run("cat-file", "blob", entry.blob))
        return folder

    def _walk(self, scan: Scan) -> dict[str, Found]:
        found: dict[str, Found] = {}
        folders = [""]
        while folders:
            prefix = folders.pop()
            try:
                with os.scandir(f"{self._code}/{prefix}") as entries:
                    listed = list(entries)
            except OSError:
                scan.flag("unreadable", prefix)
                continue
            if prefix and any(entry.name == ".git" for entry in listed):
                scan.flag("nested_git", prefix.rstrip("/"))
                if prefix not in self._base_folders:
                    continue
            for entry in listed:
                self._meet(scan, prefix + entry.name, entry, found, folders)
        return found

    def _meet(
        self,
        scan: Scan,
        path: str,
        entry: "os.DirEntry[str]",
        found: dict[str, Found],
        folders: list[str],
    ) -> None:
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:  # its path is longer than the kernel takes
            scan.flag("unreadable", path)
            return
        if entry.name == ".git" or self._is_gitlink(path):
            return
        if _is_bad_name(entry.name, link=stat.S_ISLNK(status.st_mode)):
            scan.flag("bad_names", path)
        elif stat.S_ISDIR(status.st_mode):
            folders.append(path + "/")
        elif stat.S_ISREG(status.st_mode) or stat.S_ISLNK(status.st_mode):
            found[path] = Found(entry.path, status)
        else:
            scan.flag("special", path)

    def _is_gitlink(self, path: str) -> bool:
        known = self.base.get(path)
        return known is not None and known.mode == _GITLINK

    def _add(self, scan: Scan, path: str, file: Found) -> None:
        try:
            entry = self._entry(path, file)
        except OSError:
            scan.flag("unreadable", path)
            return
        if entry is None:
            scan.flag("too_large", path)
            entry = self.base.get(path)
        if entry is not None:
            scan.entries[path] = entry

    def _entry(self, path: str, file: Found) -> Entry | None:
        status = file.status
        mark = (
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_size,
            status.st_ino,
            status.st_mode,
        )
        known = self._known.get(path)
        if known and known[0] == mark:
            return known[1]
        if stat.S_ISLNK(status.st_mode):
            return self._stored("120000", os.fsencode(Path(file.place).readlink()))
        entry = self._regular(path, file)
        if entry is not None:
            self._known[path] = (mark, entry)
        return entry

    def _regular(self, path: str, file: Found) -> Entry | None:
        mode = "100755" if file.status.st_mode & 0o100 else "100644"
        descriptor = os.open(file.place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as opened:
            size = os.fstat(descriptor).st_size
            if size > self._largest:
                return self._large(path, mode, size, opened)
            content = opened.read(self._largest + 1)
        if len(content) > self._largest:
            return None
        return self._stored(mode, content)

    def _large(self, path: str, mode: str, size: int, opened: IO[bytes]) -> Entry | None:
        """Recognise what is the base's own; what has another size is never read: it may be sparse."""
        known = self.base.get(path)
        if known is None or self._git.blob_size(known.blob) != size:
            return None
        blob = self._git.blob_id(size, iter(lambda: opened.read(_CHUNK), b""))
        return Entry(mode, blob) if blob == known.blob else None

    def _stored(self, mode: str, content: bytes) -> Entry:
        blob = self._git.blob_id(len(content), [content])
        self._git.store_blob(blob, content)
        return Entry(mode, blob)

    def _keep_unreadable(self, scan: Scan) -> None:
        # What cannot be read is not shown as deleted.
        for closed in scan.flags.get("unreadable", []):
            for path, entry in self.base.items():
                if path == closed or (closed.endswith("/") and path.startswith(closed)):
                    scan.entries.setdefault(path, entry)


def _folders(paths: dict[str, Entry]) -> set[str]:
    folders = set()
    for path in paths:
        while cut := path.rpartition("/")[0]:
            folders.add(cut + "/")
            path = cut  # noqa: PLW2901 - climbing up
    return folders


def _is_bad_name(name: str, *, link: bool) -> bool:
    """Names that some file system takes for git's own; git refuses them in an index."""
    parts = name.lower().replace("\\", "/").split("/")
    plain = {part.split(":")[0].rstrip(" .") for part in parts}
    return bool(plain & {".git", "git~1"}) or (link and bool(plain & {".gitmodules", "gitmod~1"}))
