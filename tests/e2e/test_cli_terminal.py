"""Live progress: what a person sees on a terminal, and what a program sees instead of it."""

import asyncio
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.api_service import zipped
from tests.support.place import FINISH, bash, scripted
from tests.support.up_process import Up, running_up

from codexsys_client import AsyncClient

ENTRY = "from codexsys_cli.main import main; main()"
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
STATE = re.compile(r"([0-9.]+)s  (\w+(?:: \w+)?)  \((\d+) steps, ([\d,]+) tokens\)")


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    async with running_up(tmp_path / "up", {}) as running:
        yield running


async def submitted(up: Up, folder: Path) -> str:
    """Submit a task of two slow steps."""
    file = folder / "code.zip"
    file.write_bytes(zipped({"a.txt": "a\n"}))
    steps = (bash("sleep 1; echo b >> a.txt"), bash("sleep 1; cat a.txt"), FINISH)
    async with AsyncClient(up.url, up.key) as client:
        task = await client.submit({"prompt": scripted(*steps)}, file=file)
    return task["id"]


async def watched(up: Up, folder: Path, task_id: str, *, terminal: bool) -> tuple[int | None, str]:
    """Run `codexsys watch` and return its exit code and all that it wrote to standard error."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TERM": "xterm",
        "COLUMNS": "120",
        "CODEXSYS_URL": up.url,
        "CODEXSYS_API_KEY": up.key,
    }
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENTRY, "watch", task_id),
        env=environment,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    said = await asyncio.wait_for(asyncio.to_thread(_read_all, ours), 120)
    return await process.wait(), said.decode()


def _read_all(descriptor: int) -> bytes:
    said = b""
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                piece = terminal.read(65_536)
            except OSError:  # a terminal whose other end is closed
                piece = b""
            if not piece:
                return said
            said += piece


async def test_a_line_lives_on_a_terminal(up: Up, tmp_path: Path) -> None:
    code, said = await watched(up, tmp_path, await submitted(up, tmp_path), terminal=True)
    assert code == 0, said
    assert "\x1b[2K" in said  # a line that is written anew
    states = STATE.findall(ANSI.sub("", said))
    assert max(float(state[0]) for state in states) >= 2
    assert {"running: analyzing", "succeeded"} <= {state[1] for state in states}
    assert max(int(state[2]) for state in states) == 4  # and one more to look the change over
    assert max(int(state[3].replace(",", "")) for state in states) > 0


async def test_elsewhere_each_change_is_a_plain_line(up: Up, tmp_path: Path) -> None:
    code, said = await watched(up, tmp_path, await submitted(up, tmp_path), terminal=False)
    assert code == 0, said
    assert "\x1b" not in said
    phases = [state[1] for state in STATE.findall(said)]
    assert phases[-1] == "succeeded"
    assert len(phases) == len(set(phases))
