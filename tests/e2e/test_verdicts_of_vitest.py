"""Verdicts by the report of vitest, on agents that lie and on honest ones."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.judged import Judged, open_judged
from tests.support.vitest_shop import SHOP

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Judged]:
    async with open_judged(tmp_path_factory.mktemp("vitest"), SHOP, "vitest") as opened:
        yield opened


@pytest.mark.parametrize("name", SHOP.changes)
async def test_a_change_is_judged_by_what_it_does(name: str, judged: Judged) -> None:
    task, change = await judged.of(name), SHOP.changes[name]
    assert task.evidence is not None, task.end
    said = " ".join(task.evidence.sentences)
    seen = f"{task.verdict}: {said}\n{await judged.place.text(task.id, 'verify')}"
    assert task.verdict is change.verdict, seen
    assert change.says in said, seen


async def test_the_planted_test_is_in_no_count_and_all_were_made_to_fail(judged: Judged) -> None:
    evidence = (await judged.of("mends it")).evidence
    assert evidence is not None
    assert (evidence.before, evidence.after) == (
        {"passed": 7, "failed": 1},
        {"passed": 8, "failed": 0},
    )
    assert evidence.fixed == ["test/shop.test.ts::total"]
    assert "8 tests that the platform had made to fail" in " ".join(evidence.sentences)


async def test_nothing_is_left(judged: Judged) -> None:
    await judged.place.clean()
