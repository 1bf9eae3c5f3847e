"""`codexsys demo`, as a visitor sees it."""

import asyncio
import sys
from pathlib import Path

ENTRY = "from codexsys_cli.main import main; main()"


async def _demo(folder: Path, *arguments: str, path: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        ENTRY,
        "demo",
        *arguments,
        cwd=folder,
        env={"PATH": path, "HOME": str(folder)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), 120)
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out.decode()


async def test_the_demo_is_verified_and_shows_everything(tmp_path: Path) -> None:
    code, said = await _demo(tmp_path, "--keep", "kept", path="/usr/sbin:/usr/bin:/sbin:/bin")
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
    code, said = await _demo(tmp_path, "--keep", "mine", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert code == 2
    assert "not empty" in said
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]
