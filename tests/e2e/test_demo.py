"""`codexsys demo`, as a visitor sees it."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
ENTRY = "from codexsys_cli.main import main; main()"


@asynccontextmanager
async def _running(folder: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ENTRY, "demo", *arguments),
        cwd=folder,
        env={"PATH": PATH, "HOME": str(folder), "TMPDIR": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _demo(folder: Path, *arguments: str) -> tuple[int | None, str]:
    async with _running(folder, *arguments) as process:
        out, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode, out.decode()


async def test_the_demo_is_verified_and_shows_everything(tmp_path: Path) -> None:
    code, said = await _demo(tmp_path, "--keep", "kept")
    assert code == 0, said
    for expected in (
        "scripted",
        "-- testing",
        "step 1: bash",
        "+        return sum(item.price * item.quantity for item in self.items)",
        "before: 8 passed, 1 failed",
        "after: 9 passed, 0 failed",
        "Demo: the change is verified.",
    ):
        assert expected in said
    assert "Traceback" not in said
    kept = tmp_path / "kept"
    assert (kept / "artifacts" / "diff.patch").read_text() in said
    assert not list((kept / "data" / "sandboxes").glob("*"))


async def test_a_folder_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine")
    code, said = await _demo(tmp_path, "--keep", "mine")
    assert code == 2
    assert "not empty" in said
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def _left_by(folder: Path) -> list[str]:
    """Return the demo's folders, and the command lines of processes that name one."""
    found = [path.name for path in folder.glob("codexsys-demo-*")]
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended meanwhile
            continue
        if str(folder) in line:
            found.append(line)
    return found


@pytest.mark.parametrize("moment", ["-- setup", "-- analyzing"])
async def test_an_interrupted_demo_leaves_nothing(tmp_path: Path, moment: str) -> None:
    async with _running(tmp_path) as process:
        assert process.stdout is not None
        said = ""
        async with asyncio.timeout(150):
            while moment not in said:
                line = await process.stdout.readline()
                assert line, said
                said += line.decode()
            process.send_signal(signal.SIGTERM)
            said += (await process.stdout.read()).decode()
            code = await process.wait()
    assert code == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert "No answer" not in said
    assert _left_by(tmp_path) == []
