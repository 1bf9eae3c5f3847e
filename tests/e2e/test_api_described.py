"""Schemathesis holds the running API to its own description: every check, 100 examples and more an operation."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.api_service import Served, serving

ROOT = Path(__file__).parents[2]
HOOKS = ROOT / "tests" / "support" / "schemathesis_hooks.py"
SEED = "1"


@asynccontextmanager
async def ending(served: Served) -> AsyncIterator[None]:
    """Cancel what is queued, again and again: nobody works here, and streams end with their task."""

    async def end() -> None:
        while True:
            found = await served.client.get("/api/v1/tasks?status=queued&limit=100")
            for task in found.json()["items"]:
                await served.client.post(f"/api/v1/tasks/{task['id']}/cancel")
            await asyncio.sleep(0.2)

    running = asyncio.create_task(end())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.timeout(600)
async def test_every_operation_keeps_its_description(tmp_path: Path) -> None:
    async with (
        serving(tmp_path / "data", tenant_max_queued=0, rate_per_minute=0) as served,
        ending(served),
    ):
        run = await asyncio.create_subprocess_exec(
            Path(sys.executable).with_name("st"),
            *("--config-file", ROOT / "tests" / "schemathesis.toml"),
            *("run", f"{served.url}/openapi.json", "--checks", "all", "--seed", SEED),
            *("--exclude-checks", "use_after_free"),  # see the configuration
            *("--header", f"Authorization: Bearer {served.key}"),
            cwd=tmp_path,
            env={"SCHEMATHESIS_HOOKS": str(HOOKS), "HOME": str(tmp_path), "NO_COLOR": "1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await run.communicate())[0].decode(errors="replace")
    (tmp_path / "report.txt").write_text(said)
    assert run.returncode == 0, said[-20_000:]
    assert re.search(r"Selected: (\d+)/\1\b", said), "some operations were left out"
