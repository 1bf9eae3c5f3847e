"""A git command takes what it may, and no more."""

import asyncio
import sys
from pathlib import Path

import pytest
from tests.support.git_http import make_repository

from codexsys_adapters.git.command import Git, GitTooLarge, GitTooSlow, Limits


async def test_a_command_that_takes_too_much_is_ended(tmp_path: Path) -> None:
    make_repository(tmp_path / "a", {"x": "x" * 1000})
    place = tmp_path / "a" / ".git"
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(GitTooLarge):
        await Git(limits=Limits(output_bytes=10)).run("cat-file", "-p", "HEAD:x", directory=place)
    with pytest.raises(GitTooSlow):
        await Git(programme=str(slow), limits=Limits(seconds=0.05)).run("x", directory=place)


async def test_what_nobody_reads_any_more_keeps_no_process(tmp_path: Path) -> None:
    floods = tmp_path / "floods"
    floods.write_text(
        f"#!{sys.executable}\nimport fcntl, os, time\n"
        "fcntl.fcntl(1, fcntl.F_SETPIPE_SZ, 1 << 20)\nos.write(1, bytes(1 << 20))\ntime.sleep(60)\n"
    )
    floods.chmod(0o755)
    git = Git(programme=str(floods), limits=Limits(output_bytes=1))
    async with asyncio.timeout(20):
        with pytest.raises(GitTooLarge):
            await git.run("status", directory=None)
