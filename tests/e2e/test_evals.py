"""Some of the evals, solved by their scripts; `make evals` runs all, with the tools of Go and Rust as well."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.evals.case import all_cases
from tests.evals.place import scripted_place
from tests.evals.run import Evals, Result, run_all
from tests.evals.table import summary, table

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
