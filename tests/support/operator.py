"""The command line as an operator uses it: beside the services, on their settings."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ENTRY = "from codexsys_cli.main import main; main()"


async def operate(
    folder: Path, *arguments: str, variables: Mapping[str, str] = MappingProxyType({})
) -> tuple[int | None, str, str]:
    """Run one command on the data of `folder`; return its exit code, output and complaints."""
    place = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "CODEXSYS_DATA_DIR": str(folder)}
    environment = place | dict(variables)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ENTRY,
        *arguments,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode(), complained.decode()
