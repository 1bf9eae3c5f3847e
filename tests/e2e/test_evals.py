"""Some of the evals, solved by their scripts; `make evals` runs all, with the tools of Go and Rust as well."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from tests.evals.case import CASES, all_cases, read_case
from tests.evals.place import script, scripted_place
from tests.evals.run import Evals, Result, run_all
from tests.evals.table import summary, table
from tests.support.model_server import ModelServer

pytestmark = pytest.mark.asyncio(loop_scope="module")
CHOSEN = (
    "python-bug-crlf",
    "python-explain-backoff",
    "python-feature-json",
    "javascript-bug-pages",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def results(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Result]]:
    cases = [case for case in all_cases() if case.name in CHOSEN]
    folder = tmp_path_factory.mktemp("evals")
    async with scripted_place(folder, cases, jobs=3) as user:
        found = await run_all(Evals(user, wall_seconds=120), cases, model=None, jobs=4)
        yield {each.name: each for each in found}


@pytest.mark.parametrize("name", CHOSEN)
async def test_a_scripted_solution_passes(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    assert result.passed, result
    assert result.tokens
    assert result.cost_usd > 0


async def test_the_table_shows_each(results: dict[str, Result]) -> None:
    found = list(results.values())
    assert all(name in table(found) for name in CHOSEN)
    assert summary(found).startswith("4 of 4 passed; ")


async def test_a_real_model_needs_a_url_and_a_key(tmp_path: Path) -> None:
    case, key = read_case(CASES / "javascript-explain-order"), "sk-known-to-the-endpoint"
    kept = tmp_path / "result.json"
    with ModelServer() as server:
        server.scripts = {"some-model": script(case)}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.evals", "--url", server.url("script")),
            *("--model", "some-model", "--only", case.name, "--json", str(kept)),
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CODEXSYS_MODEL_KEY": key},
            cwd=Path(__file__).parents[2],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), 240)
        assert process.returncode == 0, out.decode()
        assert set(server.keys) == {f"Bearer {key}"}
    result = json.loads(kept.read_text())
    assert (result["model"], result["passed"]) == ("some-model", 1)
    assert b"1 of 1 passed" in out
    assert key not in out.decode() + kept.read_text()
