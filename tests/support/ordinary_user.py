"""Becomes a program as an ordinary user sees this host: no root, no control groups, but a tun device.

`python ordinary_user.py FOLDER PROGRAM…`, as root; the user owns the folder. What it sees is made in
namespaces of its own: an accessible /dev/net/tun, one more address of the host, and the way to the
interpreter and to this repository, wherever they lie.
"""

import ctypes
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from codexsys_adapters.disks import kernel

REPOSITORY = Path(__file__).parents[2]
OWN_ADDRESS = "198.51.100.77"
_USER = 54_321
_TUN = (10, 200)
_NEW_NETWORK = 0x40000000


def main(folder: Path, program: Sequence[str]) -> None:
    """Make the user's view and execute the program in it."""
    os.chown(folder, _USER, _USER)
    kernel.unshare_mounts()
    _open_ways([Path(sys.base_prefix), REPOSITORY, folder])
    _lay_tun(Path("/dev/net"))
    if ctypes.CDLL(None).unshare(_NEW_NETWORK) != 0:
        raise OSError("no network namespace")
    for words in (
        ["link", "set", "lo", "up"],
        ["address", "add", f"{OWN_ADDRESS}/32", "dev", "lo"],
    ):
        subprocess.run(["ip", *words], check=True)
    user = str(_USER)
    drop = ["--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all"]
    argv = ["setpriv", *drop, "--bounding-set=-all", "--no-new-privs", *program]
    os.execvpe(argv[0], argv, os.environ | {"HOME": str(folder), "TMPDIR": str(folder)})


def _open_ways(wanted: Sequence[Path]) -> None:
    """Cover folders that only root may enter, but for what is wanted in them."""
    opened = {path: os.open(path, os.O_PATH | os.O_DIRECTORY) for path in wanted}
    closed = {parent for path in wanted for parent in path.parents if not _may_be_entered(parent)}
    for parent in sorted(closed):
        if not _may_be_entered(parent):  # one above it may have been covered already
            kernel.mount("tmpfs", parent, "tmpfs", options="mode=0755")
    for path, descriptor in opened.items():
        if closed & set(path.parents):
            path.mkdir(parents=True, exist_ok=True)
            kernel.mount(f"/proc/self/fd/{descriptor}", path, flags=kernel.BIND)


def _may_be_entered(folder: Path) -> bool:
    return not folder.exists() or bool(folder.stat().st_mode & stat.S_IXOTH)


def _lay_tun(folder: Path) -> None:
    kernel.mount("tmpfs", folder, "tmpfs", options="mode=0755")
    tun = folder / "tun"
    os.mknod(tun, stat.S_IFCHR, os.makedev(*_TUN))
    tun.chmod(0o666)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
