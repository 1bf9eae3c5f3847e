"""`codexsys up` as a process of its own, with its own data folder and free ports."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

_ENTRY = "from codexsys_cli.main import main; main()"


@dataclass(frozen=True)
class Up:
    """What the process said about itself."""

    url: str
    sign_in_link: str
    key: str


async def start_up(
    folder: Path, settings: Mapping[str, str]
) -> tuple[asyncio.subprocess.Process, Up]:
    """Start it, and wait until it has said where it is; again in the same folder is a restart."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - one folder, in a test
    data = folder / "data"
    environment = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": str(folder),
        "CODEXSYS_DATA_DIR": str(data),
        "CODEXSYS_API_PORT": "0",
        "CODEXSYS_GATEWAY_PORT": "0",
    } | dict(settings)
    with (folder / "up.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _ENTRY,
            "up",
            cwd=folder,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
    if process.stdout is None:
        raise RuntimeError("no pipe")
    try:
        link = (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip()
        assert link.startswith("http://"), (folder / "up.log").read_text()
    except BaseException:
        await stop_up(process)
        raise
    kept = json.loads((data / "client.json").read_text())
    return process, Up(url=link.partition("/sign-in/")[0], sign_in_link=link, key=kept["key"])


async def stop_up(process: asyncio.subprocess.Process) -> None:
    """Ask it to end, which it must do by itself."""
    if process.returncode is None:
        process.terminate()
    await asyncio.wait_for(process.communicate(), 40)


@asynccontextmanager
async def running_up(folder: Path, settings: Mapping[str, str]) -> AsyncIterator[Up]:
    """Run it until the block ends."""
    process, up = await start_up(folder, settings)
    try:
        yield up
    finally:
        await stop_up(process)
