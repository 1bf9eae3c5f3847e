"""The main job on real input: this project's own repository, changed and verified by its own tests."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.e2e.test_distributed import scripted
from tests.support.distributed import Fleet
from tests.support.git_http import ENVIRONMENT, GitHttpServer, git
from tests.support.users import User, user
from tests.support.wheels import ROOT, SETUP
from tests.support.witness import download

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

MODULE = "libs/core/codexsys_core/junit.py"
COMMON = {
    "checks": {"command": "python3 -m pytest -q tests/unit/core", "may_change": ["tests/**"]},
    "environment": {"setup": SETUP, "variables": {"PYTHONPATH": "libs/core"}},
}
RENAME = r"grep -rlw read_junit --include='*.py' . | xargs sed -i 's/\bread_junit\b/parse_junit/g'"


@dataclass(frozen=True)
class Own:
    """This repository, as a server on loopback has it."""

    bare: Path
    url: str
    commit: str

    def text(self, path: str) -> str:
        """Return a file as it is in the commit."""
        return git(self.bare, "show", f"{self.commit}:{path}")

    def zipped(self) -> bytes:
        """Return the commit's tree as a zip."""
        return subprocess.run(
            ["git", "archive", "--format=zip", self.commit],
            cwd=self.bare,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        ).stdout


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    root = tmp_path_factory.mktemp("own")
    git(root, "clone", "--quiet", "--bare", str(ROOT), "codexsys.git")
    bare = root / "codexsys.git"
    with GitHttpServer(root) as server:
        yield Own(bare, server.url("codexsys.git"), git(bare, "rev-parse", "HEAD"))


@pytest_asyncio.fixture(loop_scope="session")
async def ada(fleet: Fleet, request: pytest.FixtureRequest) -> AsyncIterator[User]:
    async with user(fleet.servers, fleet.named("api")[1].url, request.node.name) as known:
        yield known


async def _changed(own: Own, ada: User, body: dict[str, Any], folder: Path) -> bytes:
    """Have the repository and its zip changed; return the diff that both give, which applies."""
    source = {"source": {"git": {"url": own.url, "ref": own.commit}}}
    cloned = await ada.submit(COMMON | body | source)
    unpacked = await ada.submit(COMMON | body, archive=own.zipped())
    diffs = []
    for task_id in (cloned, unpacked):
        task = await ada.finished(task_id, seconds=200)
        evidence = task["checks"]["evidence"]
        assert (task["status"], task["verdict"]) == ("succeeded", "verified"), (
            task,
            (await ada.log(task_id, "setup"))[-2000:],
            (await ada.log(task_id, "agent"))[-2000:],
            (await ada.log(task_id, "verify"))[-4000:],
        )
        assert evidence["after"]["passed"] > 0
        await asyncio.to_thread(download, await ada.artifacts(task_id), folder / task_id)
        diffs.append(folder / task_id / "diff.patch")
    git(folder, "clone", "--quiet", str(own.bare), "base")
    git(folder / "base", "checkout", "--quiet", own.commit)
    git(folder / "base", "apply", "--check", str(diffs[0]))
    assert diffs[0].read_bytes() == diffs[1].read_bytes()
    return diffs[0].read_bytes()


async def test_a_codemod_renames_in_the_whole_repository(
    own: Own, ada: User, tmp_path: Path
) -> None:
    body = {"prompt": "Rename read_junit", "engine": "command", "command": RENAME}
    diff = (await _changed(own, ada, body, tmp_path)).decode()
    assert "+def parse_junit(" in diff
    assert f"+++ b/{MODULE}" in diff


async def test_the_built_in_agent_edits_a_module(own: Own, ada: User, tmp_path: Path) -> None:
    first = own.text(MODULE).splitlines()[0]
    edit = {"path": MODULE, "old": first, "new": first.replace('"""', '"""In short: ', 1)}
    tests = {"command": "PYTHONPATH=libs/core python3 -m pytest -q tests/unit/core"}
    body = scripted(
        {"say": "I read the module.", "tool": "read", "arguments": {"path": MODULE}},
        {"say": "I edit its first line.", "tool": "edit", "arguments": edit},
        {"say": "I run the tests.", "tool": "bash", "arguments": tests},
    )
    diff = (await _changed(own, ada, {"prompt": body["prompt"]}, tmp_path)).decode()
    assert f"-{first}" in diff
    assert '+"""In short: ' in diff
