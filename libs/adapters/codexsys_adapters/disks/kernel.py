"""Calls to the kernel about mounts and loop devices that the standard library does not have."""

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

READ_ONLY, NO_SETUID, NO_DEVICES, REMOUNT, NO_TIMES = 1, 2, 4, 32, 1024
BIND, RECURSIVE, PRIVATE = 4096, 16384, 1 << 18
NEW_MOUNTS = 0x00020000

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # the same on every architecture
_CLONE_TREE, _CLOSE_ON_EXEC = 1, os.O_CLOEXEC
_HERE, _EMPTY_PATH, _MOVE_EMPTY_PATH = -100, 0x1000, 4
_MAP_IDS = 0x00100000
_NO_FOLLOW, _DETACH = 8, 2
_BUSY_SECONDS = 2.0

_LOOP_CONTROL = "/dev/loop-control"
_LOOP_FREE, _LOOP_CONFIGURE = 0x4C82, 0x4C0A
_LOOP_READ_ONLY, _LOOP_AUTOCLEAR = 1, 4
_LOOP_CONFIG = "=II 5Q 4I 64s 64s 32s 2Q 8Q"
_LOOP_TRIES = 200
_LOOP_MAJOR = 7

_SHUT_DOWN, _WITHOUT_FLUSHING = 0x8004587D, 2  # EXT4_IOC_SHUTDOWN


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Make one system call of the old kind."""
    texts = (source.encode(), os.fsencode(target), kind.encode())
    _check(_libc.mount(*texts, flags, options.encode()), str(target))


def unmount(target: Path) -> None:
    """Unmount what is there, all of it; no error when nothing is."""
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        flags = _NO_FOLLOW | (_DETACH if time.monotonic() > end else 0)
        if _libc.umount2(os.fsencode(target), flags) == 0:
            continue  # another may have lain below it
        number = ctypes.get_errno()
        if number in (errno.EINVAL, errno.ENOENT):
            return
        if number != errno.EBUSY:
            raise OSError(number, os.strerror(number), str(target))
        time.sleep(0.005)


def unshare_mounts() -> None:
    """Give this process a mount namespace of its own, from which nothing goes back."""
    _check(_libc.unshare(NEW_MOUNTS), "mount namespace")
    mount("none", Path("/"), flags=RECURSIVE | PRIVATE)


def mount_image(image: Path, target: Path, *, read_only: bool) -> None:
    """Mount an ext4 file through a loop device that goes away with its last mount."""
    flags = NO_SETUID | NO_DEVICES | NO_TIMES | (READ_ONLY if read_only else 0)
    with _loop(image, read_only=read_only) as device:
        mount(device, target, "ext4", flags, "noinit_itable,barrier=0")


def mount_mapped(source: Path, target: Path, namespace: int) -> None:
    """Show a mounted folder at another place, too, its owners as the user namespace maps them."""
    tree = _call(_OPEN_TREE, _HERE, os.fsencode(source), _CLONE_TREE | _CLOSE_ON_EXEC)
    try:
        wanted = struct.pack("=4Q", _MAP_IDS, 0, 0, namespace)
        _call(_MOUNT_SETATTR, tree, b"", _EMPTY_PATH, wanted, len(wanted))
        _call(_MOVE_MOUNT, tree, b"", _HERE, os.fsencode(target), _MOVE_EMPTY_PATH)
    finally:
        os.close(tree)


@contextlib.contextmanager
def mapping(inside: int, outside: int) -> Iterator[Callable[[], int]]:
    """Give what returns a user namespace that maps one user and group to another.

    Root stays root in it: an overlay keeps folders of its own beside the sandbox's. It is made
    meanwhile, by a process that holds it until it is asked for.
    """
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(
            subprocess.Popen(
                ["/usr/bin/unshare", "--user", "/bin/cat"],
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
            )
        )
        stack.callback(holder.kill)

        @functools.cache
        def namespace() -> int:
            _hear(holder)  # cat answers from within the namespace
            for name in ("uid_map", "gid_map"):
                Path(f"/proc/{holder.pid}/{name}").write_text(f"0 0 1\n{inside} {outside} 1\n")
            found = os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, found)
            return found

        yield namespace


def _hear(holder: "subprocess.Popen[bytes]") -> None:
    if holder.stdin is None or holder.stdout is None:
        raise OSError("no pipes to the holder of a user namespace")
    holder.stdin.write(b"1")
    if holder.stdout.read(1) != b"1":
        raise OSError("no user namespace can be made")


def abandon(mounted: Path) -> None:
    """Have an ext4 forget what it has not written yet: it is about to be removed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(mounted, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _SHUT_DOWN, struct.pack("=I", _WITHOUT_FLUSHING))
        finally:
            os.close(descriptor)


def images_in_use() -> set[str]:
    """Return the files behind all loop devices of this host."""
    found = set()
    for path in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it has just been let go
            found.add(path.read_text().rstrip("\n"))
    return found


@contextlib.contextmanager
def _loop(image: Path, *, read_only: bool) -> Iterator[str]:
    """Put an image on a free loop device; once mounted, the mount alone holds it."""
    access = os.O_CLOEXEC | (os.O_RDONLY if read_only else os.O_RDWR)
    flags = _LOOP_AUTOCLEAR | (_LOOP_READ_ONLY if read_only else 0)
    with contextlib.ExitStack() as stack:
        file = os.open(image, access | os.O_NOFOLLOW)
        stack.callback(os.close, file)
        control = os.open(_LOOP_CONTROL, os.O_RDWR | os.O_CLOEXEC)
        stack.callback(os.close, control)
        config = _config(file, flags)
        for _ in range(_LOOP_TRIES):
            number = fcntl.ioctl(control, _LOOP_FREE)
            name = f"/dev/loop{number}"
            device = _device(name, number, access)
            try:
                fcntl.ioctl(device, _LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:  # somebody else was quicker
                    raise
                continue
            stack.callback(os.close, device)
            yield name
            return
    raise OSError(errno.EBUSY, "no loop device is free")


def _device(name: str, number: int, access: int) -> int:
    try:
        return os.open(name, access)
    except FileNotFoundError:  # a container's /dev does not follow what the kernel adds
        with contextlib.suppress(FileExistsError):
            os.mknod(name, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, number))
        return os.open(name, access)


def _config(file: int, flags: int) -> bytes:
    nothing = (b"", b"", b"", 0, 0)
    info = (0, 0, 0, 0, 0, 0, 0, 0, flags, *nothing)
    return struct.pack(_LOOP_CONFIG, file, 0, *info, *(0,) * 8)


def _call(number: int, *arguments: object) -> int:
    result: int = _libc.syscall(number, *arguments)
    _check(min(result, 0), f"system call {number}")
    return result


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


_libc = ctypes.CDLL(None, use_errno=True)
