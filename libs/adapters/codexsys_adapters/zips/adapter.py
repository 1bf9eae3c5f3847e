"""Runs the zip child and says what it found in the platform's words."""

import asyncio
import json
import shutil
import signal
from dataclasses import asdict
from pathlib import Path

from codexsys_adapters.zips.children import Children
from codexsys_adapters.zips.rules import ZipLimits
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Invalid, PlatformError
from codexsys_core.growing import Growing
from codexsys_core.source import Base, SourceFailure

_TOO_MUCH = {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGXFSZ}


class _Refused(Exception):
    """The child refused the zip."""


class Zips:
    """Satisfies `codexsys_core.source.ZipReader`."""

    def __init__(self, *, git: str | None = None, limits: ZipLimits | None = None) -> None:
        self._git = git or shutil.which("git") or "git"
        self._limits = limits or ZipLimits()
        self._children = Children()

    async def vet(self, file: Path | Growing) -> None:
        """Refuse (`Invalid`, code zip_refused) what cannot be unpacked safely.

        One that still grows is looked through meanwhile; `GivenUp` where that cannot be.
        """
        try:
            if isinstance(file, Growing):
                await self._ask("vet", file.path, growing=file)
            else:
                await self._ask("vet", file)
        except _Refused as problem:
            raise Invalid(str(problem), code="zip_refused") from problem

    async def unpack(self, file: Path, into: Path) -> Base:
        """Make `into` a base with one commit; a failure leaves nothing behind."""
        try:
            answer = await self._ask("unpack", file, into)
        except BaseException as problem:
            await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)
            if isinstance(problem, _Refused):
                raise SourceFailure(EndReason.ZIP_REFUSED, str(problem)) from problem
            raise
        return Base(commit=answer["commit"], tree=answer["tree"])

    async def _ask(self, verb: str, *paths: Path, growing: Growing | None = None) -> dict[str, str]:
        seconds = self._limits.seconds
        question = self._question(verb, *paths, grows_to=growing.size if growing else 0)
        try:
            if growing is not None:
                said = await self._children.follow(question, growing, seconds)
            else:
                said = await self._children.ask(question, seconds)
        except TimeoutError as error:
            raise _Refused("The zip takes too long to unpack.") from error
        return _read(*said)

    def _question(self, verb: str, *paths: Path, grows_to: int) -> bytes:
        """Name everything from the root: a child has a folder of its own."""
        limits, files = asdict(self._limits), [str(path.absolute()) for path in paths]
        asked = {"verb": verb, "paths": files, "git": self._git, "limits": limits}
        return json.dumps(asked | {"grows_to": grows_to}).encode()


def _read(code: int | None, out: bytes) -> dict[str, str]:
    if code in _TOO_MUCH:
        raise _Refused("The zip takes too much time or space to unpack.")
    if code != 0:
        raise PlatformError(f"The zip reader ended with status {code}.")
    answer: dict[str, str] = json.loads(out)
    if "refused" in answer:
        raise _Refused(answer["refused"])
    return answer
