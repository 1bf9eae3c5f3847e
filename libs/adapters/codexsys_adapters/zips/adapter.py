"""Runs the zip child and says what it found in the platform's words."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import asdict
from pathlib import Path

from codexsys_adapters.zips.rules import ZipLimits
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Invalid, PlatformError
from codexsys_core.source import Base, SourceFailure

CHILDREN = 8
"""At the same time; more would only keep each other, and everybody else in this process, from working."""
_TOO_MUCH = {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGXFSZ}


class _Refused(Exception):
    """The child refused the zip."""


class Zips:
    """Satisfies `codexsys_core.source.ZipReader`."""

    def __init__(
        self,
        *,
        python: str = sys.executable,
        git: str | None = None,
        limits: ZipLimits | None = None,
    ) -> None:
        self._python = python
        self._git = git or shutil.which("git") or "git"
        self._limits = limits or ZipLimits()
        self._free = asyncio.Semaphore(CHILDREN)

    async def vet(self, file: Path) -> None:
        """Refuse (`Invalid`, code zip_refused) what cannot be unpacked safely."""
        try:
            await self._ask("vet", str(file))
        except _Refused as problem:
            raise Invalid(str(problem), code="zip_refused") from problem

    async def unpack(self, file: Path, into: Path) -> Base:
        """Make `into` a base with one commit; a failure leaves nothing behind."""
        try:
            answer = await self._ask("unpack", str(file), str(into), self._git)
        except BaseException as problem:
            await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)
            if isinstance(problem, _Refused):
                raise SourceFailure(EndReason.ZIP_REFUSED, str(problem)) from problem
            raise
        return Base(commit=answer["commit"], tree=answer["tree"])

    async def _ask(self, *arguments: str) -> dict[str, str]:
        async with self._free:
            return await self._answered(*arguments)

    async def _answered(self, *arguments: str) -> dict[str, str]:
        child = await asyncio.create_subprocess_exec(
            self._python,
            "-I",
            "-m",
            "codexsys_adapters.zips.child",
            json.dumps(asdict(self._limits)),
            *arguments,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={"LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._limits.seconds):
                out, _ = await child.communicate()
        except TimeoutError as error:
            raise _Refused("The zip takes too long to unpack.") from error
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.communicate()  # its pipes must end, too, before it counts as over
        return _read(child.returncode, out)


def _read(code: int | None, out: bytes) -> dict[str, str]:
    if code in _TOO_MUCH:
        raise _Refused("The zip takes too much time or space to unpack.")
    if code:
        raise PlatformError(f"The zip reader ended with status {code}.")
    answer: dict[str, str] = json.loads(out)
    if "refused" in answer:
        raise _Refused(answer["refused"])
    return answer
