"""The result of a setup is kept for tasks with the very same inputs, and for nobody else."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.place import Place, open_place, reason

from codexsys_core.end_reasons import EndReason
from codexsys_core.environment import EnvironmentGiven
from codexsys_core.source import GitSource
from codexsys_core.task import Task
from codexsys_core.verdict import Checks

pytestmark = pytest.mark.asyncio(loop_scope="module")

TAKEN = "== setup: taken"
RAN = "== environment script"
SECRET = "a-secret-of-setup"
# What one run of setup leaves tells it from every other run.
SETUP = 'cp /proc/sys/kernel/random/uuid "$HOME/made"; echo "$TOKEN"'
SHOW = 'cp "$HOME/made" shown'
_UUID = re.compile(r"\+([0-9a-f]{8}-[0-9a-f-]{27})")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp("layers") / "data"
    async with open_place(folder, sandbox="local") as opened:
        yield opened


@dataclass(frozen=True)
class Found:
    """What one task came to."""

    task: Task
    log: str
    made: str
    """What the run of setup left on which the agent stood."""

    @property
    def taken(self) -> bool:
        """Say whether the agent's sandbox stood on what was kept."""
        return TAKEN in self.log.partition("\n")[0]


@dataclass(frozen=True)
class Repository:
    """A repository whose tasks all have the same setup unless a test says otherwise."""

    place: Place
    server: GitHttpServer

    def change(self, **files: str) -> None:
        make_repository(self.server.root / "r", {"README.md": "one\n", **files})

    async def task(self, *, environment: dict[str, Any] | None = None, **spec: Any) -> Found:
        given = {"setup": SETUP, "network": {"setup": "none"}} | (environment or {})
        spec = {"command": SHOW, "checks": Checks(strategy="skip")} | spec
        source = GitSource(url=self.server.url("r"))
        ended = await self.place.ended(
            source, environment=EnvironmentGiven.model_validate(given), **spec
        )
        diff = next(
            (
                a
                for a in await self.place.platform.artifacts.of_task(ended.id)
                if a.name == "diff.patch"
            ),
            None,
        )
        text = (await self.place.platform.objects.get(diff.object)).decode() if diff else ""
        made = _UUID.search(text)
        return Found(ended, await self.place.text(ended.id, "setup"), made[1] if made else "")


@pytest.fixture
def repository(place: Place, tmp_path: Path) -> Any:
    with GitHttpServer(tmp_path) as server:
        # Its own content, so that no two tests share a base.
        found = Repository(place, server)
        found.change(of=str(tmp_path))
        yield found


async def test_the_second_task_stands_on_the_first_ones_setup(repository: Repository) -> None:
    first, second = await repository.task(), await repository.task()
    assert reason(first.task) is EndReason.FINISHED, first.log
    assert first.made
    assert (first.taken, second.taken) == (False, True), second.log
    assert second.made == first.made
    assert RAN not in second.log


async def test_the_verdict_stands_on_the_same_setup(repository: Repository) -> None:
    checks = Checks(command='cat "$HOME/made"; test -e README.md')
    found = await repository.task(checks=checks)
    assert (found.log.count(RAN), found.log.count(TAKEN)) == (1, 2), found.log
    verified = await repository.place.text(found.task.id, "verify")
    assert verified.count(found.made) == 2


async def test_another_secret_is_another_setup(repository: Repository) -> None:
    taken = []
    for value in (SECRET, "another-secret", SECRET):
        found = await repository.task(environment={"setup_variables": {"TOKEN": value}})
        assert value not in found.log
        taken.append(found.taken)
    assert taken == [False, False, True]


async def test_a_change_of_any_file_is_another_setup(repository: Repository) -> None:
    first = await repository.task()
    repository.change(**{"README.md": "two\n"})
    second = await repository.task()
    assert not second.taken
    assert first.made != second.made != ""


async def test_nothing_is_shared_between_tenants(repository: Repository) -> None:
    first = await repository.task()
    theirs = replace(repository, place=replace(repository.place, tenant="tnt_other"))
    second = await theirs.task()
    assert not second.taken
    assert first.made != second.made != ""


async def test_it_can_be_turned_off(repository: Repository) -> None:
    first = await repository.task()
    second = await repository.task(environment={"cache": False})
    assert not second.taken
    third = await repository.task()
    assert (third.taken, third.made) == (True, first.made)


async def test_an_agent_changes_nothing_that_is_kept(repository: Repository) -> None:
    first = await repository.task()
    poison = (
        'echo 00000000-0000-0000-0000-000000000000 > "$HOME/made"; echo x > new; '
        'rm -rf .git; mkdir -p "$HOME/.local/bin"; echo exit 1 > "$HOME/.local/bin/git"; '
        'chmod +x "$HOME/.local/bin/git"; echo y > /app/output/z'
    )
    for _ in range(2):
        await repository.task(command=poison)
    look = f'{SHOW}; ls -A /app/output "$HOME/.local" > left 2>&1; git status --short > status'
    last = await repository.task(command=look)
    assert (last.taken, last.made) == (True, first.made)
    assert reason(last.task) is EndReason.FINISHED


@pytest.mark.parametrize(
    ("setup", "wanted"),
    [
        ("echo x > made; exit 1", EndReason.SETUP_FAILED),
        ('echo "$TOKEN" > left', EndReason.SECRET_LEFT_BEHIND),
    ],
)
async def test_a_setup_that_went_wrong_is_not_kept(
    repository: Repository, setup: str, wanted: EndReason
) -> None:
    environment = {"setup": setup, "setup_variables": {"TOKEN": SECRET}}
    for _ in range(2):
        found = await repository.task(environment=environment)
        assert reason(found.task) is wanted, found.log
        assert TAKEN not in found.log


async def test_a_base_without_setup_is_laid_out_once(repository: Repository) -> None:
    check = "git log --oneline | wc -l > shown; git status --short >> shown; git diff base >> shown"
    for _ in range(2):
        found = await repository.task(environment={"setup": None}, command=check)
        assert reason(found.task) is EndReason.FINISHED, found.log
        assert found.task.diff is not None
        assert found.task.diff.insertions == 2  # one commit, and the new file itself
