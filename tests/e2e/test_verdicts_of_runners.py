"""Verdicts by the reports of node, go and cargo, on agents that lie and on honest ones."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.place import Place, open_place
from tests.support.shops import SHOPS, Shop

from codexsys_core.environment import Environment
from codexsys_core.task import Task
from codexsys_core.verdict import Checks, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = [(language, name) for language, shop in SHOPS.items() for name in shop.changes]
HONEST = Verdict.VERIFIED
Ended = dict[tuple[str, str], Task]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("runners") / "data"
    async with open_place(folder, sandbox="local", worker_slots=4) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(place: Place) -> Ended:
    """Submit all at once and wait for their ends."""
    tasks = {key: await submit(place, SHOPS[key[0]], key[1]) for key in ALL}
    return {key: await place.until(task, seconds=280) for key, task in tasks.items()}


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
    language: str, name: str, ended: Ended, place: Place
) -> None:
    task, change = ended[language, name], SHOPS[language].changes[name]
    assert task.evidence is not None, task.end
    said = " ".join(task.evidence.sentences)
    seen = f"{task.verdict}: {said}\n{await place.text(task.id, 'verify')}"
    assert task.verdict is change.verdict, seen
    assert change.says in said, seen


@pytest.mark.parametrize("language", SHOPS)
async def test_the_planted_test_is_in_no_count(language: str, ended: Ended) -> None:
    evidence = ended[language, "mends it"].evidence
    assert evidence is not None
    assert evidence.before is not None
    assert evidence.after == {"passed": sum(evidence.before.values()), "failed": 0}
    assert evidence.fixed


async def test_nothing_is_left(ended: Ended, place: Place) -> None:
    assert ended
    await place.clean()
