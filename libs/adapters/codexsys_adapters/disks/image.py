"""A sandbox's disk as root makes it: one sparse ext4 file, mounted, perhaps over layers."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codexsys_adapters.disks import copies, kernel
from codexsys_adapters.disks.alone import alone

IMAGE = "image"
FOLDERS = ("code", "output", "home")
_BLOCK = 4096
_INODE = 256
_SPARE_BYTES = 4 << 20
_OWN_INODES = 16  # the file system's and our folders
_MOST_INODES_PER_GROUP = 8 * _BLOCK
_GROUP_BYTES = 8 * _BLOCK * _BLOCK
_SECONDS = 60.0
_SOMEBODY = 10_001
_MOST_BLANKS = 32
_PACKAGES = Path(__file__).parents[2]
_TRY = (
    "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); "
    "from codexsys_adapters.disks.image import try_here; print(try_here(Path(sys.argv[2])))"
)
_MAKE = (
    *("/usr/sbin/mkfs.ext4", "-q", "-F", "-b", str(_BLOCK), "-m", "0"),
    *("-O", "^has_journal,^resize_inode", "-E", "lazy_itable_init=1,nodiscard"),
)


@dataclass(frozen=True)
class Room:
    """What is left on a disk."""

    bytes: int
    inodes: int


class Disk:
    """The disk of one sandbox, in a folder that nobody but root may enter."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted = folder / "disk"
        self.image = folder / IMAGE
        self.files = folder / "files"
        """Where the sandbox's folders are, while it is mounted."""

    def make(self, *, megabytes: int, inodes: int, blanks: Path | None = None) -> None:
        """Make the image, empty; one that was there before is replaced, never written to.

        Empty ones of a size are alike: one of each is kept in `blanks`, where that is given.
        """
        draft = self.image.with_suffix(".new")
        draft.unlink(missing_ok=True)
        if blanks is None:
            _make_image(draft, megabytes, inodes)
        else:
            copies.sparse(_blank(blanks, megabytes, inodes), draft)
        for place in (self._mounted, self.files):
            place.mkdir(exist_ok=True)
        draft.replace(self.image)

    def mount(self, *, owner: int, layers: Sequence[Path] = ()) -> None:
        """Mount it so that `files` holds code, output and home, over the layers if there are any.

        The layers are images, the topmost first; FileNotFoundError when one is gone.
        """
        try:
            kernel.mount_image(self.image, self._mounted, read_only=False)
            self._lay_out(owner, full=not layers)
            if layers:
                self._mount_over(layers, owner)
            else:
                kernel.mount(str(self._mounted / "files"), self.files, flags=kernel.BIND)
        except OSError:
            self.unmount()
            raise

    def unmount(self) -> None:
        """Undo what `mount` did; no error when there is nothing to undo."""
        for place in (self.files, *self._folder.glob("below-*"), self._mounted):
            kernel.unmount(place)

    def room(self) -> Room:
        """Return what is left."""
        found = os.statvfs(self._mounted)
        return Room(found.f_bavail * found.f_frsize, found.f_favail)

    def keep(self, target: Path) -> None:
        """Copy the image as it is now; nothing may be writing, and nothing can meanwhile."""
        change = kernel.REMOUNT | kernel.NO_SETUID | kernel.NO_DEVICES | kernel.NO_TIMES
        kernel.mount("none", self._mounted, flags=change | kernel.READ_ONLY)
        try:
            copies.sparse(self.image, target, durable=True)
        finally:
            kernel.mount("none", self._mounted, flags=change)

    def abandon(self) -> None:
        """Write nothing more of it, since it will be removed; what is inside sees errors."""
        kernel.abandon(self._mounted)

    def remove(self) -> None:
        """Unmount it and remove the image; no error when it is not there."""
        if self._mounted.is_mount():
            self.abandon()
        self.unmount()
        self.image.unlink(missing_ok=True)
        for place in (self.files, *self._folder.glob("below-*"), self._mounted):
            with contextlib.suppress(FileNotFoundError):
                place.rmdir()

    def _lay_out(self, owner: int, *, full: bool) -> None:
        """Make the folders of a new image; over layers, code, output and home are the layers'."""
        places = [self._mounted / "files", self._mounted / "work"]
        if full:
            places += [self._mounted / "files" / name for name in FOLDERS]
        for place in places:
            with contextlib.suppress(FileExistsError):
                place.mkdir(mode=0o755)
                os.chown(place, owner, owner)

    def _mount_over(self, layers: Sequence[Path], owner: int) -> None:
        """Lay an overlay at `files`; it holds what it is made of, which needs no place after that."""
        folders = [self._folder / f"below-{number}" for number in range(len(layers))]
        opened = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for image, folder in zip(layers, folders, strict=True):
                _mount_layer(image, folder, owner)
            here = f"/proc/self/fd/{opened}"  # a folder's own name may hold commas and colons
            lower = ":".join(f"{here}/{folder.name}" for folder in folders)
            upper = f"upperdir={here}/disk/files,workdir={here}/disk/work"
            options = f"lowerdir={lower},{upper},index=off,redirect_dir=on,metacopy=off"
            flags = kernel.NO_SETUID | kernel.NO_DEVICES | kernel.NO_TIMES
            kernel.mount("overlay", self.files, "overlay", flags, options)
        finally:
            os.close(opened)
        for folder in folders:
            kernel.unmount(folder)


def _mount_layer(image: Path, folder: Path, owner: int) -> None:
    """Mount a layer's files, which are another sandbox's user's, as if they were this one's."""
    folder.mkdir(exist_ok=True)
    kernel.mount_image(image, folder, read_only=True)
    kept_by = (folder / "files").stat().st_uid
    with kernel.mapping(kept_by, owner) as namespace:
        kernel.mount_mapped(folder / "files", folder, namespace())


def problem(scratch: Path) -> str:
    """Return why disks cannot be made here, by making one in a folder; nothing when they can."""
    if os.geteuid() != 0:
        return "only root may mount disk images"
    scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    argv = [sys.executable, "-I", "-S", "-c", _TRY, str(_PACKAGES), str(scratch)]
    try:
        return _run(argv).strip()
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)


def try_here(scratch: Path) -> str:
    """Make and mount a small disk, in a mount namespace that ends with this process."""
    kernel.unshare_mounts()
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        disk = Disk(Path(folder))
        try:
            disk.make(megabytes=8, inodes=64)
            disk.mount(owner=_SOMEBODY)
            writes = (disk.files / "code").stat().st_uid == _SOMEBODY
        except OSError as error:
            return f"a disk image cannot be mounted: {error}"
        finally:
            disk.remove()
    return "" if writes else "a disk image has another owner than it was given"


def _make_image(path: Path, megabytes: int, inodes: int) -> None:
    size = megabytes << 20
    wanted = min(inodes + _OWN_INODES, -(-size // _GROUP_BYTES) * _MOST_INODES_PER_GROUP)
    with path.open("wb") as file:
        os.truncate(file.fileno(), size + wanted * _INODE + _SPARE_BYTES)
    _run([*_MAKE, "-N", str(wanted), "--", str(path)])


def _blank(folder: Path, megabytes: int, inodes: int) -> Path:
    """Return an empty image of this size, made now if there is none; the least used make room."""
    blank = folder / f"{megabytes}-{inodes}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _used(blank):
        with alone(folder):
            if not _used(blank):
                _make_blank(blank, megabytes, inodes)
    return blank


def _used(blank: Path) -> bool:
    """Note that it is used, if it is there."""
    try:
        os.utime(blank)
    except FileNotFoundError:
        return False
    return True


def _make_blank(blank: Path, megabytes: int, inodes: int) -> None:
    draft = blank.with_name(f"{blank.name}.new")
    _make_image(draft, megabytes, inodes)
    copies.write_through(draft)
    draft.replace(blank)
    others = {path for path in blank.parent.iterdir() if path != blank and path.is_file()}
    unfinished = {path for path in others if path.suffix == ".new"}  # nobody else is at it
    by_age = sorted(others - unfinished, key=lambda path: path.stat().st_mtime)
    for old in [*unfinished, *by_age[: 1 - _MOST_BLANKS]]:
        old.unlink()


def _run(argv: list[str]) -> str:
    done = subprocess.run(
        argv, env={}, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_SECONDS
    )
    if done.returncode != 0:
        raise OSError(f"{argv[0]}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout.decode()
