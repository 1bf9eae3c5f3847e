"""Verdicts on agents that lie and on honest ones, by real runs of the checks in sandboxes."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.support.changes import PYTEST, SHOP, Change
from tests.support.honest import HONEST
from tests.support.liars import LIARS
from tests.support.place import Place, open_place
from tests.support.wheels import RUNNER, SETUP, lay_down

from codexsys_core.environment import Environment
from codexsys_core.task import Task
from codexsys_core.verdict import Checks, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMPILED = f"{SETUP}\npython3 -m compileall -q $site"
ENVIRONMENT = Environment(setup=COMPILED, network={"setup": "none"})
ALL = LIARS | HONEST
Ended = dict[str, Task]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    wheels = tmp_path_factory.mktemp("verdict-wheels")
    await asyncio.to_thread(lay_down, wheels, RUNNER)
    wheels.chmod(0o755)
    folder = tmp_path_factory.mktemp("verdicts") / "data"
    async with open_place(
        folder, sandbox="local", sandbox_wheels=wheels, worker_slots=5
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(place: Place) -> Ended:
    """Submit all at once and wait for their ends; the first one leaves its setup to the others."""
    first, *others = ALL
    tasks = {first: await submit(place, ALL[first])}
    await place.until(tasks[first])
    tasks |= {name: await submit(place, ALL[name]) for name in others}
    return {name: await place.until(task, seconds=280) for name, task in tasks.items()}


async def submit(place: Place, change: Change) -> str:
    return await place.submit(
        await place.zip_source(SHOP),
        command=change.script,
        environment=ENVIRONMENT,
        checks=Checks.model_validate({"command": PYTEST} | change.checks),
    )


@pytest.mark.parametrize("name", ALL)
async def test_a_change_is_judged_by_what_it_does(name: str, ended: Ended, place: Place) -> None:
    task, change = ended[name], ALL[name]
    assert task.end is not None
    seen = (task.end, task.evidence, await place.text(task.id, "verify"))
    assert task.verdict is change.verdict, seen
    assert task.evidence is not None
    assert task.end.reason is change.verdict.end_reason
    assert change.says in " ".join(task.evidence.sentences), seen


@pytest.mark.parametrize("name", LIARS)
async def test_no_lie_is_verified(name: str, ended: Ended) -> None:
    assert ended[name].verdict is not Verdict.VERIFIED


async def test_the_planted_test_is_in_no_count(ended: Ended) -> None:
    evidence = ended["mends it"].evidence
    assert evidence is not None
    assert (evidence.before, evidence.after) == (
        {"passed": 4, "failed": 1},
        {"passed": 5, "failed": 0},
    )


async def test_nothing_is_left(ended: Ended, place: Place) -> None:
    assert ended
    await place.clean()
