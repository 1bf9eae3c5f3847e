"""Verdicts on honest and dishonest changes, by real pytest runs in sandboxes."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from tests.support.place import Place, open_place
from tests.support.wheels import SETUP, lay_down

from codexsys_core.environment import Environment
from codexsys_core.task import Task
from codexsys_core.verdict import Checks, Verdict

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = {
    "shop.py": "def total():\n    return 1\n",
    "test_shop.py": "import shop\n\n\ndef test_total():\n    assert shop.total() < 3\n",
    "check.sh": 'grep -q "return [12]" shop.py\n',
}
BREAK = "sed -i 's/return 1/return 3/' shop.py"
MEND = "sed -i 's/return 1/return 2/' shop.py"
FIT = "sed -i 's/< 3/< 4/' test_shop.py"
DESELECT = "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if 'planted' in i.name]\n"
SILENT = "import sys\nsys.exit(0)\n"


@dataclass(frozen=True)
class Case:
    """What a change does, how it is checked, and what must be found."""

    verdict: Verdict
    command: str
    checks: dict[str, Any] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    """Files of the code that this one does not have."""


CASES = {
    "mends": Case(Verdict.VERIFIED, MEND),
    "breaks a test": Case(Verdict.TESTS_FAILED, BREAK),
    "breaks a test and makes it fit": Case(Verdict.TESTS_TAMPERED, f"{BREAK}; {FIT}"),
    "changes a test that it may": Case(
        Verdict.VERIFIED, f"{BREAK}; {FIT}", {"may_change": ["test_shop.py"]}
    ),
    "deletes the test": Case(Verdict.TESTS_FAILED, f"{BREAK}; rm test_shop.py"),
    "adds a test": Case(
        Verdict.VERIFIED, f"{MEND}; printf 'def test_new():\\n    assert 1\\n' > test_new.py"
    ),
    "deselects the test in a conftest": Case(
        Verdict.TESTS_FAILED, f"{BREAK}; printf '{DESELECT!s}' > conftest.py".replace("\n", "\\n")
    ),
    "brings a pytest of its own": Case(
        Verdict.TESTS_FAILED, f"{BREAK}; printf '{SILENT}' > pytest.py".replace("\n", "\\n")
    ),
    "ends the runner before its report": Case(
        Verdict.TESTS_FAILED, "printf 'import os\\nos._exit(0)\\n' >> shop.py"
    ),
    "has no test": Case(Verdict.UNVERIFIED, MEND, drop=("test_shop.py",)),
    "is checked in part": Case(Verdict.UNVERIFIED, MEND, {"strategy": "incremental"}),
    "is not checked": Case(Verdict.UNVERIFIED, BREAK, {"strategy": "skip"}),
    "is checked by exit status": Case(Verdict.UNVERIFIED, MEND, {"command": "sh check.sh"}),
    "fails by exit status": Case(Verdict.TESTS_FAILED, BREAK, {"command": "sh check.sh"}),
    "makes its check say yes": Case(
        Verdict.TESTS_TAMPERED, f"{BREAK}; echo true > check.sh", {"command": "sh check.sh"}
    ),
    "writes what setup made": Case(Verdict.TESTS_TAMPERED, f"{MEND}; echo x >> made.txt"),
    "does nothing": Case(Verdict.NO_CHANGE, "true"),
}
Ended = dict[str, Task]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    wheels = tmp_path_factory.mktemp("verdict-wheels")
    await asyncio.to_thread(lay_down, wheels)
    wheels.chmod(0o755)
    folder = tmp_path_factory.mktemp("verdicts") / "data"
    async with open_place(
        folder, sandbox="local", sandbox_wheels=wheels, worker_slots=3
    ) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ended(place: Place) -> Ended:
    """Submit all at once and wait for their ends."""
    environment = Environment(
        setup=f"{SETUP}\necho made > /app/code/made.txt", network={"setup": "none"}
    )
    tasks = {}
    for name, case in CASES.items():
        files = {each: text for each, text in CODE.items() if each not in case.drop}
        tasks[name] = await place.submit(
            await place.zip_source(files),
            command=case.command,
            environment=environment,
            checks=Checks.model_validate({"command": "python3 -m pytest -q"} | case.checks),
        )
    return {name: await place.until(task, seconds=280) for name, task in tasks.items()}


@pytest.mark.parametrize("name", CASES)
async def test_a_change_is_judged_by_what_it_does(name: str, ended: Ended, place: Place) -> None:
    task = ended[name]
    assert task.verdict is CASES[name].verdict, await place.text(task.id, "verify")
    assert task.end is not None
    assert task.end.reason is CASES[name].verdict.end_reason


async def test_the_planted_test_is_in_no_count(ended: Ended) -> None:
    evidence = ended["mends"].evidence
    assert evidence is not None
    assert (evidence.before, evidence.after) == (
        {"passed": 1, "failed": 0},
        {"passed": 1, "failed": 0},
    )


async def test_nothing_is_left(ended: Ended, place: Place) -> None:
    assert ended
    await place.clean()
