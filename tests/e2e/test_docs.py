"""The pages of docs/ that show commands: they are run as they stand, against a running platform."""

import asyncio
import re
from pathlib import Path

from tests.support.api_service import zipped
from tests.support.up_process import running_up

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "services/cli/codexsys_cli/demo/repository"
SECONDS = 150


def _commands(page: str) -> str:
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / page).read_text(), re.M | re.S)
    return "set -euo pipefail\n" + "\n".join(blocks)


def _sample() -> bytes:
    files = (path for path in SAMPLE.rglob("*") if path.is_file())
    return zipped({str(path.relative_to(SAMPLE)): path.read_text() for path in files})


async def test_the_api_page_leads_from_a_zip_to_a_verified_diff(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "inventory.zip").write_bytes(_sample())
    async with running_up(tmp_path / "up", {}) as up:
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", _commands("api.md")),
            cwd=here,
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "CODEXSYS_URL": up.url,
                "CODEXSYS_API_KEY": up.key,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), SECONDS)
    said = out.decode()
    assert process.returncode == 0, said
    assert '"verdict": "verified"' in said
    assert '"code": "invalid"' in said
    assert '"pointer": "/colour"' in said
    assert "item.price * item.quantity" in (here / "diff.patch").read_text()
    assert "stock.py" in (here / "shared.html").read_text()
