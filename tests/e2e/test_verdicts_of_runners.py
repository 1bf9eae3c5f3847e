"""Verdicts by the reports of node, go and cargo, on agents that lie and on honest ones."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.place import Place, open_place
from tests.support.shops import SHOPS, Shop

from codexsys_core.environment import Environment
from codexsys_core.task import Task
from codexsys_core.verdict import Checks

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = [(language, name) for language, shop in SHOPS.items() for name in shop.changes]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("runners") / "data"
    async with open_place(folder, sandbox="local", worker_slots=4) as running:
        yield running


class Judged:
    """What became of a language's changes: all of them are submitted when the first one is asked for."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._submitted: dict[str, dict[str, str]] = {}

    async def of(self, language: str, name: str) -> Task:
        if language not in self._submitted:
            shop = SHOPS[language]
            self._submitted[language] = {
                each: await submit(self._place, shop, each) for each in shop.changes
            }
        return await self._place.until(self._submitted[language][name], seconds=280)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judged(place: Place) -> Judged:
    return Judged(place)


async def submit(place: Place, shop: Shop, name: str) -> str:
    change = shop.changes[name]
    return await place.submit(
        await place.zip_source(shop.files),
        command=change.script,
        environment=Environment(setup=shop.setup, network={"setup": "none"}),
        checks=Checks.model_validate({"command": shop.command} | change.checks),
    )


@pytest.mark.parametrize(("language", "name"), ALL)
async def test_a_change_is_judged_by_what_it_does(
    language: str, name: str, judged: Judged, place: Place
) -> None:
    task, change = await judged.of(language, name), SHOPS[language].changes[name]
    assert task.evidence is not None, task.end
    said = " ".join(task.evidence.sentences)
    seen = f"{task.verdict}: {said}\n{await place.text(task.id, 'verify')}"
    assert task.verdict is change.verdict, seen
    assert change.says in said, seen


@pytest.mark.parametrize("language", SHOPS)
async def test_the_planted_test_is_in_no_count(language: str, judged: Judged) -> None:
    evidence = (await judged.of(language, "mends it")).evidence
    assert evidence is not None
    assert evidence.before is not None
    assert evidence.after == {"passed": sum(evidence.before.values()), "failed": 0}
    assert evidence.fixed


async def test_nothing_is_left(place: Place) -> None:
    await place.clean()
