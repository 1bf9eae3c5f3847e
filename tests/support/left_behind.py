"""What is still on this host of a sandbox that should be gone."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.distributed import Fleet, eventually

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.walls.owner import owner


async def nothing_left(hosts: Fleet, task_id: str, *, seconds: float = 30) -> None:
    """Hold once nothing is on this host any more of a task's sandboxes."""
    async with Database(hosts.servers.database) as database:
        rows = await SqlSandboxes(database=database).of_task(task_id)
    sandboxes = [row.id for row in rows]
    assert sandboxes
    folders = [worker.data for worker in hosts.named("worker")]

    async def look() -> bool | None:
        left = [await asyncio.to_thread(left_of, sandbox, folders) for sandbox in sandboxes]
        return None if any(left) else True

    await eventually(look, seconds=seconds, what=f"nothing is left of {sandboxes}")


def left_of(sandbox: str, folders: Sequence[Path]) -> list[str]:
    """Return its processes, mounts, loop devices, control groups and folders."""
    return [
        *_processes(sandbox),
        *_mounts(sandbox),
        *_loops(sandbox),
        *_groups(sandbox),
        *_folders(sandbox, folders),
    ]


def _processes(sandbox: str) -> Iterator[str]:
    """Yield those of the sandbox's user, where it has one of its own, and those that name it."""
    uid, _ = owner(sandbox)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = folder.stat().st_uid == uid and uid != os.geteuid()
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has just ended
            continue
        if ours or sandbox in words:
            yield f"process {folder.name}: {words}"


def _mounts(sandbox: str) -> Iterator[str]:
    """Yield mounts in anybody's view that lead to the sandbox."""
    seen = set()
    for file in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            lines = file.read_text().splitlines()
        except OSError:
            continue
        seen |= {line for line in lines if sandbox in line}
    yield from sorted(seen)


def _loops(sandbox: str) -> Iterator[str]:
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            text = file.read_text()
        except OSError:
            continue
        if sandbox in text:
            yield f"{file}: {text}"


def _groups(sandbox: str) -> Iterator[str]:
    for folder, folders, _ in os.walk("/sys/fs/cgroup"):
        yield from (f"{folder}/{name}" for name in folders if sandbox in name)


def _folders(sandbox: str, folders: Sequence[Path]) -> Iterator[str]:
    for folder in folders:
        yield from (str(path) for path in folder.glob(f"*/{sandbox}*"))
