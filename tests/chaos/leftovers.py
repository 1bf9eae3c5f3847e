"""What is still on this host of sandboxes and works: folders, processes, mounts, loop devices, control groups."""

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

_SANDBOX = re.compile(r"sbx[_-][0-9a-z]{26}")


def left(hosts: Path) -> list[str]:
    """List folders of sandboxes and works, and processes that name one of them."""
    found = [str(path) for path in hosts.glob("*/sandboxes/sbx_*")]
    found += [str(path) for path in hosts.glob("*/work/*/work-*")]
    found += [
        str(path) for kind in ("upload", "workspace") for path in hosts.glob(f"*/tmp/*/{kind}-*")
    ]
    for process, command, folder in _processes():
        if "sbx_" in command + folder and f"{hosts}/" in command + folder:
            found.append(f"pid {process.name} in {folder}: {command}")
    return found


def left_of(sandboxes: Collection[str]) -> list[str]:
    """List what names one of these sandboxes, anywhere on this host."""
    seen = {*_of_processes(), *_loops(), *_groups()}
    return sorted(
        what
        for what in seen
        if any(name.replace("-", "_") in sandboxes for name in _SANDBOX.findall(what))
    )


def _processes() -> Iterator[tuple[Path, str, str]]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            yield process, command, str((process / "cwd").readlink())
        except (OSError, UnicodeDecodeError):
            continue  # it has ended meanwhile, or is a kernel thread


def _of_processes() -> Iterator[str]:
    """Yield what processes are called, the control groups they are in, and the mounts they see."""
    for process, command, folder in _processes():
        yield f"process {process.name} in {folder}: {command}"
        try:
            yield f"process {process.name} in {(process / 'cgroup').read_text().strip()}"
            lines = (process / "mountinfo").read_text().splitlines()
        except OSError:
            continue
        yield from (f"mount {line}" for line in lines if _SANDBOX.search(line))


def _loops() -> Iterator[str]:
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            yield f"loop device {file.read_text().strip()}"
        except OSError:
            continue


def _groups() -> Iterator[str]:
    for folder, folders, _ in os.walk("/sys/fs/cgroup"):
        yield from (f"control group {folder}/{name}" for name in folders)
