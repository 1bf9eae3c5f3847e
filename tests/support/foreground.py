"""`codexsys run` as a process of its own, in a folder of its own."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENTRY = "from codexsys_cli.main import main; main()"
SECONDS = 120
# What a curious agent would look through. It is told backwards, since what is read forwards is redacted.
SNOOP = (
    "(env; cat /proc/*/environ /proc/*/cmdline /app/base.git/config .git/config) 2>/dev/null"
    " | tr '\\0' '\\n' | rev"
)
LOCAL = ("--allow-network", "127.0.0.0/8", "--allow-http")


@dataclass(frozen=True)
class Said:
    """How a run ended."""

    code: int | None
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The one object on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass(frozen=True)
class Bench:
    """Where runs are started: nothing of the tests' own environment is there."""

    folder: Path
    wheels: Path

    async def start(
        self, *arguments: str, variables: Mapping[str, str] | None = None, given: str = ""
    ) -> asyncio.subprocess.Process:
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", ENTRY, "run", *arguments),
            cwd=self.folder,
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME": str(self.folder),
                "TMPDIR": str(temporary),
                "CODEXSYS_SANDBOX_WHEELS": str(self.wheels),
                **(variables or {}),
            },
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(given.encode())
        process.stdin.close()
        return process

    async def run(
        self, *arguments: str, variables: Mapping[str, str] | None = None, given: str = ""
    ) -> Said:
        """Run one to its end, which leaves nothing."""
        process = await self.start(*arguments, variables=variables, given=given)
        return await self.ended(process)

    async def ended(self, process: asyncio.subprocess.Process) -> Said:
        try:
            out, err = await asyncio.wait_for(process.communicate(), SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        said = Said(process.returncode, out.decode(), err.decode())
        assert "Traceback" not in said.err, said.err
        return said

    def left(self) -> list[str]:
        """Return the folders of runs, and the processes that know of one."""
        return [path.name for path in (self.folder / "tmp").iterdir()] + [
            line for line in command_lines() if str(self.folder / "tmp") in line
        ]


def command_lines() -> list[str]:
    """Return those of all processes there are."""
    found = []
    for name in os.listdir("/proc"):  # noqa: PTH208 - of processes that come and go
        if name.isdigit():
            try:
                found.append(
                    Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()
                )
            except (OSError, UnicodeDecodeError):
                continue
    return found
