"""Git as a child process: own environment, own configuration, hard limits, its whole group killed."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
_CONFIGURATION = {
    "protocol.allow": "never",
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.symlinks": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.logAllRefUpdates": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "core.quotePath": "false",
    "credential.helper": "",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "safe.directory": "*",
    "submodule.recurse": "false",
}


@dataclass(frozen=True)
class Limits:
    """What one git command may take."""

    seconds: float = 120.0
    cpu_seconds: int = 120
    memory_bytes: int = 4 << 30
    file_bytes: int = 2 << 30
    output_bytes: int = 64 << 20


class GitFailed(Exception):
    """Git ended with an error; `text` is what it said, for the platform's eyes only."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class GitTooSlow(GitFailed):
    """Git took longer than it may."""


class GitTooLarge(GitFailed):
    """Git wrote, or used, more than it may."""


class Git:
    """Runs git commands; `programme` is an absolute path."""

    def __init__(self, *, programme: str | None = None, limits: Limits | None = None) -> None:
        self._programme = programme or shutil.which("git") or "git"
        self._prlimit = shutil.which("prlimit")
        self._limits = limits or Limits()

    async def run(
        self,
        *arguments: str,
        directory: Path | None,
        stdin: bytes | None = None,
        environment: Mapping[str, str] | None = None,
        configuration: Mapping[str, str] | None = None,
        watch: Path | None = None,
        watch_bytes: int = 0,
    ) -> bytes:
        """Run one command on the bare `directory`, or on none; raises `GitFailed`.

        While it runs, `watch` is kept from growing beyond `watch_bytes`.
        """
        process = await asyncio.create_subprocess_exec(
            *self._command(arguments, configuration or {}),
            stdin=DEVNULL if stdin is None else PIPE,
            stdout=PIPE,
            stderr=PIPE,
            cwd="/",
            env=_ENVIRONMENT | _place(directory) | dict(environment or {}),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._limits.seconds):
                out, err = await self._talk(process, stdin, watch, watch_bytes)
        except TimeoutError as error:
            raise GitTooSlow("timed out") from error
        finally:
            await _end(process)
        if process.returncode:
            raise _failure(process.returncode, err.decode(errors="replace"))
        return out

    def _command(self, arguments: Sequence[str], more: Mapping[str, str]) -> list[str]:
        command = []
        if self._prlimit is not None:
            limits = self._limits
            command += [
                self._prlimit,
                f"--cpu={limits.cpu_seconds}",
                f"--as={limits.memory_bytes}",
                f"--fsize={limits.file_bytes}",
                "--core=0",
            ]
        command.append(self._programme)
        for name, value in (_CONFIGURATION | dict(more)).items():
            command += ["-c", f"{name}={value}"]
        return [*command, *arguments]

    async def _talk(
        self, process: Process, stdin: bytes | None, watch: Path | None, watch_bytes: int
    ) -> tuple[bytes, bytes]:
        if process.stdout is None or process.stderr is None:
            raise GitFailed("no pipes")
        try:
            async with asyncio.TaskGroup() as group:
                watcher = group.create_task(_watch(watch, watch_bytes))
                feeding = group.create_task(_feed(process, stdin))
                out = group.create_task(_read(process.stdout, self._limits.output_bytes))
                err = group.create_task(_read(process.stderr, 1 << 20))
                await asyncio.wait([feeding, out, err], return_when=asyncio.FIRST_EXCEPTION)
                if out.done() and err.done():
                    await process.wait()
                watcher.cancel()
        except ExceptionGroup as problems:  # with except*, Python 3.11.2 would wrap what is raised
            ours = problems.subgroup(GitFailed)
            raise (ours or problems).exceptions[0] from None
        return out.result(), err.result()


def _place(directory: Path | None) -> dict[str, str]:
    if directory is None:
        return {}
    return {"GIT_DIR": str(directory.absolute())}


async def _feed(process: Process, stdin: bytes | None) -> None:
    if process.stdin is None:
        return
    # Git may end, and say why, before it has read everything.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(stdin or b"")
        await process.stdin.drain()
    process.stdin.close()


async def _read(stream: asyncio.StreamReader, most: int) -> bytes:
    read = bytearray()
    while chunk := await stream.read(1 << 16):
        read += chunk
        if len(read) > most:
            raise GitTooLarge(f"more than {most} bytes of output")
    return bytes(read)


async def _watch(folder: Path | None, most: int) -> None:
    while folder is not None:
        if await asyncio.to_thread(size_of, folder) > most:
            raise GitTooLarge(f"more than {most} bytes on disk")
        await asyncio.sleep(0.2)


def size_of(folder: Path) -> int:
    """Count the bytes of all files below `folder`."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # git renames its temporary files
                total += os.lstat(os.path.join(root, name)).st_size  # noqa: PTH118 - hot
    return total


async def _end(process: Process) -> None:
    if process.returncode is None:
        # Its helpers (git-remote-https, index-pack) are in its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    # It counts as over only when its pipes are, and one that is full of what nobody reads never is.
    await process.communicate()


def _failure(code: int, text: str) -> GitFailed:
    """Tell by how git, or a helper of it, died which limit it met."""
    died = {number for number in (-code, code - 128) if number > 0}
    died |= {int(number) for number in re.findall(r"died of signal (\d+)", text)}
    if signal.SIGXFSZ in died or "File too large" in text or "ut of memory" in text:
        return GitTooLarge(text)
    if died & {signal.SIGXCPU, signal.SIGKILL}:
        return GitTooSlow(text)
    return GitFailed(text)
