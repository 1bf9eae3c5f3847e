"""Retries: a new task that carries on from the last checkpoint of one that is over."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.place import FINISH, Place, bash, scripted
from tests.support.shop import diff_of, open_shop, retried
from tests.support.users import User, zipped

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = {"README.md": "one\n"}
# Fails until it has run twice on the same tree.
TWICE: dict[str, Any] = {
    "prompt": "x",
    "engine": "command",
    "command": "echo more >> README.md; [ $(grep -c more README.md) -ge 2 ]",
    "checks": {"strategy": "skip"},
    "limits": {"attempts": 1},
}
Shop = tuple[Place, User]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("retry") / "data"
    async with open_shop(folder, sandbox="local") as opened:
        yield opened


async def _over(ada: User, task_id: str, reason: str) -> dict[str, Any]:
    task = await ada.finished(task_id, seconds=60)
    assert task["end_reason"]["code"] == reason, await ada.log(task_id, "agent")
    return task


async def test_a_zip_is_carried_on_with_limits_of_its_own(shop: Shop) -> None:
    place, ada = shop
    first = await ada.submit(TWICE, archive=zipped(FILES))
    failed = await _over(ada, first, "command_failed")
    assert (await diff_of(ada, first)).count("\n+more") == 1
    again = await retried(ada, first, {"limits": {"attempts": 1, "wall_seconds": 77}})
    task = await _over(ada, again, "finished")
    assert (task["retry_of"], task["limits"]["wall_seconds"]) == (first, 77)
    assert (await diff_of(ada, again)).count("\n+more") == 2
    assert await ada.get(f"/tasks/{first}") == failed
    cancelled = await ada.client.post(f"/api/v1/tasks/{first}/cancel")
    assert cancelled.json() == failed
    await place.clean()


async def test_a_retry_may_start_over_from_the_source(shop: Shop, tmp_path: Path) -> None:
    _, ada = shop
    make_repository(tmp_path / "a", FILES)
    with GitHttpServer(tmp_path) as server:
        source = {"source": {"git": {"url": server.url("a"), "ref": "main"}}}
        first = await ada.submit(TWICE | source)
        await _over(ada, first, "command_failed")
        make_repository(tmp_path / "a", {"README.md": "another\n"}, "second")
        anew = await retried(ada, first, {"start_from": "source"})
        await _over(ada, anew, "command_failed")
        assert " another\n+more" in await diff_of(ada, anew)
        again = await retried(ada, anew)
        await _over(ada, again, "finished")
    assert " another\n+more\n+more" in await diff_of(ada, again)
    odd = await ada.client.post(f"/api/v1/tasks/{again}/retry", json={"start_from": "x"})
    assert odd.json()["errors"][0]["pointer"] == "/start_from"


async def test_git_is_carried_on_where_it_was_though_the_branch_moved(
    shop: Shop, tmp_path: Path
) -> None:
    place, ada = shop
    make_repository(tmp_path / "a", FILES)
    with GitHttpServer(tmp_path) as server:
        source = {"source": {"git": {"url": server.url("a"), "ref": "main"}}}
        first = await ada.submit(TWICE | source)
        await _over(ada, first, "command_failed")
        make_repository(tmp_path / "a", {"README.md": "another\n"}, "second")
        again = await retried(ada, first)
        await _over(ada, again, "finished")
    assert (await diff_of(ada, again)).count("\n+more") == 2
    base, other = [
        (await place.platform.tasks.get(task, tenant_id=place.tenant)).base
        for task in (first, again)
    ]
    assert base is not None
    assert other is not None
    assert base.commit == other.commit
    assert base.object != other.object


async def test_a_retry_that_did_nothing_passes_on_what_it_was_given(shop: Shop) -> None:
    _, ada = shop
    first = await ada.submit(TWICE, archive=zipped(FILES))
    await _over(ada, first, "command_failed")
    second = await retried(ada, first)
    assert (await ada.client.post(f"/api/v1/tasks/{second}/cancel")).is_success
    await _over(ada, second, "cancelled")
    third = await retried(ada, second)
    await _over(ada, third, "finished")
    assert (await diff_of(ada, third)).count("\n+more") == 2


async def test_a_spent_limit_is_raised_by_a_retry(shop: Shop) -> None:
    _, ada = shop
    steps = (bash("echo a >> README.md"), bash("echo b >> README.md"), FINISH)
    body = {"prompt": scripted(*steps), "checks": {"strategy": "skip"}}
    first = await ada.submit(body | {"limits": {"calls": 1}}, archive=zipped(FILES))
    spent = await _over(ada, first, "calls_exhausted")
    again = await retried(ada, first, {"limits": {"calls": 9}})
    done = await _over(ada, again, "finished")
    assert (spent["usage"]["calls"], done["usage"]["calls"]) == (1, 4)
    assert (await diff_of(ada, again)).count("\n+a") == 2


async def test_what_is_not_over_is_not_retried(shop: Shop) -> None:
    _, ada = shop
    slow = TWICE | {"command": "while :; do :; done"}
    task_id = await ada.submit(slow, archive=zipped(FILES))
    answer = await ada.client.post(f"/api/v1/tasks/{task_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "task_not_over")
    assert (await ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    await _over(ada, task_id, "cancelled")
