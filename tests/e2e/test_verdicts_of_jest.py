"""Verdicts by the report of jest, on agents that lie and on honest ones."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.jest_shop import SHOP, lay_down
from tests.support.place import Place, open_place

from codexsys_core.environment import Environment
from codexsys_core.task import Task
from codexsys_core.verdict import Checks

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Judged:
    """What became of each change; the first one leaves its setup to the others."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._submitted: dict[str, str] = {}

    async def of(self, name: str) -> Task:
        if not self._submitted:
            first, *others = SHOP.changes
            self._submitted[first] = await self._submit(first)
            await self.place.until(self._submitted[first], seconds=280)
            self._submitted |= {each: await self._submit(each) for each in others}
        return await self.place.until(self._submitted[name], seconds=280)

    async def _submit(self, name: str) -> str:
        change = SHOP.changes[name]
        return await self.place.submit(
            await self.place.zip_source(SHOP.files),
            command=change.script,
            environment=Environment(setup=SHOP.setup, network={"setup": "none"}),
            checks=Checks.model_validate({"command": SHOP.command} | change.checks),
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judged(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Judged]:
    packages = tmp_path_factory.mktemp("jest-packages")
    await asyncio.to_thread(lay_down, packages)
    packages.chmod(0o755)
    folder = tmp_path_factory.mktemp("jest") / "data"
    async with open_place(
        folder, sandbox="local", sandbox_wheels=packages, worker_slots=3
    ) as place:
        yield Judged(place)


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
        {"passed": 6, "failed": 1},
        {"passed": 7, "failed": 0},
    )
    assert evidence.fixed == ["test/shop.test.js::total"]
    assert "7 tests that the platform had made to fail" in " ".join(evidence.sentences)


async def test_nothing_is_left(judged: Judged) -> None:
    await judged.place.clean()
