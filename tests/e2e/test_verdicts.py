"""Verdicts on agents that lie and on honest ones, by real runs of the checks in sandboxes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from tests.support.changes import MEND, PYTEST, SHOP, Change
from tests.support.honest import HONEST
from tests.support.liars import LIARS
from tests.support.place import FINISH, Place, bash, open_place, scripted
from tests.support.wheels import RUNNER, SETUP, lay_down

from codexsys_core.environment import Environment
from codexsys_core.task import Task
from codexsys_core.verdict import Checks, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")

COMPILED = f"{SETUP}\npython3 -m compileall -q $site"
ENVIRONMENT = Environment(setup=COMPILED, network={"setup": "none"})
ALL = LIARS | HONEST
Judged = Callable[[str], Awaitable[Task]]


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
async def judged(place: Place) -> Judged:
    """Submit all at once; the first one leaves its setup to the others."""
    first, *others = ALL
    tasks = {first: await submit(place, ALL[first])}
    await place.until(tasks[first], seconds=280)
    tasks |= {name: await submit(place, ALL[name]) for name in others}

    async def of(name: str) -> Task:
        return await place.until(tasks[name], seconds=280)

    return of


async def submit(place: Place, change: Change) -> str:
    return await place.submit(
        await place.zip_source(SHOP),
        command=change.script,
        environment=ENVIRONMENT,
        checks=Checks.model_validate({"command": PYTEST} | change.checks),
    )


@pytest.mark.parametrize("name", ALL)
async def test_a_change_is_judged_by_what_it_does(name: str, judged: Judged, place: Place) -> None:
    task, change = await judged(name), ALL[name]
    assert task.end is not None
    seen = (task.end, task.evidence, await place.text(task.id, "verify"))
    assert task.verdict is not None, seen
    assert task.verdict is change.verdict, seen
    assert task.evidence is not None
    assert task.end.reason is task.verdict.end_reason
    assert change.says in " ".join(task.evidence.sentences), seen
    assert {flag.kind for flag in task.evidence.flags}.issuperset(change.flags), seen


@pytest.mark.parametrize("name", LIARS)
async def test_no_lie_is_verified(name: str, judged: Judged) -> None:
    assert (await judged(name)).verdict is not Verdict.VERIFIED


async def in_rounds(place: Place, script: str, most: int) -> str:
    """Submit an agent that runs the script in each round, as often as it is sent back."""
    return await place.submit(
        await place.zip_source(SHOP),
        prompt=scripted(bash(script), FINISH),
        engine="builtin",
        command=None,
        environment=ENVIRONMENT,
        checks=Checks(command=PYTEST),
        limits={"verify_rounds": most},
    )


async def test_a_rejected_change_goes_back_and_the_best_state_is_handed_out(
    place: Place,
) -> None:
    """The agent breaks one test, is told so, and breaks another one; that is given up."""
    worse = "sed -i \"s/'fax'/'phone'/\" old.py"
    script = f"if [ -e ~/told ]; then {worse}; else touch ~/told; sed -i \"s/'shop'/'store'/\" shop.py; {MEND.strip()}; fi"
    task_id = await in_rounds(place, script, 1)
    task = await place.until(task_id, seconds=120)
    assert task.verdict is Verdict.TESTS_FAILED
    assert task.evidence is not None
    assert task.evidence.broken == ["test_shop::test_name"]
    assert "after round 1" in task.evidence.sentences[-1]
    kept = await place.handed_out(task_id)
    assert b"phone" not in kept["diff.patch"]
    events = await place.platform.events.after(task_id, 0, limit=500)
    trees = [each.data["tree"] for each in events if each.type == "verify.result"]
    assert (len(set(trees)), task.evidence.tree) == (2, trees[0])
    assert b"+    return 'store'" in kept["diff.patch"]
    assert b"+    return 'store'" in kept["trajectory.json"]


async def test_a_worse_state_is_taken_back_before_the_agent_goes_on(place: Place) -> None:
    """The third round mends what the first one broke, and only if the second one's harm is gone."""
    rounds = (
        f"sed -i \"s/'shop'/'store'/\" shop.py; {MEND.strip()}",
        "sed -i \"s/'fax'/'phone'/\" old.py; echo > new.py",
        "grep -q fax old.py && ! test -e new.py && sed -i \"s/'store'/'shop'/\" shop.py",
    )
    cases = " ".join(f"{n}) {script} ;;" for n, script in enumerate(rounds))
    script = f"n=$(cat ~/n || echo 0); echo $((n + 1)) > ~/n; case $n in {cases} esac"
    task_id = await in_rounds(place, script, 2)
    task = await place.until(task_id, seconds=180)
    assert task.verdict is Verdict.VERIFIED, task.evidence


async def test_the_planted_test_is_in_no_count(judged: Judged) -> None:
    evidence = (await judged("mends it")).evidence
    assert evidence is not None
    assert (evidence.before, evidence.after) == (
        {"passed": 4, "failed": 1},
        {"passed": 5, "failed": 0},
    )


async def test_a_report_of_the_commands_own_is_compared_by_name(judged: Judged) -> None:
    evidence = (await judged("is checked by a runner of its own")).evidence
    assert evidence is not None
    assert (evidence.before, evidence.fixed) == ({"passed": 1, "failed": 1}, ["::b"])


async def test_checks_that_were_found_are_said_to_be(judged: Judged) -> None:
    evidence = (await judged("is checked as the source says")).evidence
    assert evidence is not None
    assert (evidence.command, evidence.found_in) == (PYTEST, "pytest.ini")


async def test_checks_that_were_found_and_do_not_run_condemn_nothing(place: Place) -> None:
    source = await place.zip_source({"package.json": '{"scripts": {"test": "exit 9"}}', "a": "1"})
    task = await place.until(await place.submit(source, command="echo 2 > a"))
    assert task.verdict is Verdict.UNVERIFIED
    assert task.evidence is not None
    assert "`npm test` was found in package.json" in task.evidence.sentences[0]


async def test_nothing_is_left(place: Place) -> None:
    await place.clean()
