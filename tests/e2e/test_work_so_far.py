"""What an agent has done so far, while its task runs and after every ending: `diff.patch` and `/workspace`."""

import os
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.api_service import client_of, make_key
from tests.support.distributed import eventually
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.place import FINISH, Place, bash, scripted
from tests.support.shop import open_shop
from tests.support.so_far import KEPT_ON, kept_on, listed_change, patch_of, tree_of
from tests.support.users import User, zipped

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.stack]
FILES = {"README.md": "one\n", "bin/run.sh": "#!/bin/sh\n", ".gitattributes": "* export-ignore\n"}
CHANGE = "echo two >> README.md; ln -s /etc/passwd link; printf '\\000\\001' > made.bin"
REST = [bash(f"echo {n}") for n in range(9)]
"""The agent makes a checkpoint of its own accord after ten steps."""
WAITS = bash("while :; do sleep 1; done")
Shop = tuple[Place, User]


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=KEPT_ON)
async def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("so-far") / "data"
    async with (
        kept_on(request.param) as settings,
        open_shop(folder, sandbox="local", **settings) as opened,
    ):
        yield opened


def agent(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"prompt": scripted(*steps), "checks": {"strategy": "skip"}} | more


async def _cancelled(ada: User, task_id: str) -> dict[str, Any]:
    assert (await ada.client.post(f"/api/v1/tasks/{task_id}/cancel")).is_success
    return await ada.finished(task_id, seconds=60)


def nothing_under_way(place: Place) -> bool:
    return list((place.folder / "tmp").glob("*/workspace-*")) == []


@pytest.mark.parametrize("kind", ["zip", "git"])
async def test_a_running_tasks_change_and_tree_are_there(
    shop: Shop, kind: str, tmp_path: Path
) -> None:
    place, ada = shop
    body = agent(bash(CHANGE), *REST, WAITS)
    make_repository(tmp_path / "a", FILES)
    with GitHttpServer(tmp_path) as server:
        source = {"source": {"git": {"url": server.url("a"), "ref": "main"}}}
        archive = zipped(FILES) if kind == "zip" else None
        task_id = await ada.submit(body | ({} if archive else source), archive=archive)
        item = await listed_change(ada, task_id)
    first = await patch_of(item)
    assert "\n+two" in first
    assert "GIT binary patch" in first
    named = await ada.client.get(
        f"/api/v1/tasks/{task_id}/artifacts/diff.patch", follow_redirects=True
    )
    assert named.text == first
    tree = await tree_of(ada, task_id)
    assert tree == {
        "README.md": b"one\ntwo\n",
        "bin/run.sh": b"#!/bin/sh\n",
        ".gitattributes": b"* export-ignore\n",
        "link": b"/etc/passwd",
        "made.bin": b"\0\1",
    }
    assert (await ada.get(f"/tasks/{task_id}"))["status"] == "running"
    assert nothing_under_way(place)
    task = await _cancelled(ada, task_id)
    last = await patch_of((await ada.artifacts(task_id))["diff.patch"])
    assert (task["diff"]["files"], last) == (3, first)
    assert await tree_of(ada, task_id) == tree


async def test_a_script_without_steps_is_looked_at_as_it_goes(shop: Shop) -> None:
    _, ada = shop
    script = f"{CHANGE}; while :; do sleep 1; done"
    body = {"prompt": "x", "engine": "command", "command": script}
    task_id = await ada.submit(body, archive=zipped(FILES))
    assert "\n+two" in await patch_of(await listed_change(ada, task_id))
    assert (await ada.get(f"/tasks/{task_id}"))["phase"] in ("analyzing", "coding")
    await _cancelled(ada, task_id)


async def test_a_share_link_shows_the_change_under_way(shop: Shop) -> None:
    _, ada = shop
    task_id = await ada.submit(agent(bash(CHANGE), *REST, WAITS), archive=zipped(FILES))
    await listed_change(ada, task_id)
    made = await ada.client.post(f"/api/v1/tasks/{task_id}/shares", json={"parts": ["diff"]})
    page = await ada.client.get(made.json()["url"])
    assert "made.bin" in page.text
    file = await ada.client.get(f"{made.json()['url']}/artifacts/diff.patch")
    assert "\n+two" in file.text
    assert (await ada.client.get(f"{made.json()['url']}/workspace")).status_code == 404
    await _cancelled(ada, task_id)


async def test_an_explanation_has_the_tree_and_no_change(shop: Shop) -> None:
    _, ada = shop
    body = agent(bash("echo start"), *REST, WAITS, mode="explain")
    task_id = await ada.submit(body, archive=zipped(FILES))

    async def at_work() -> bool | None:
        events = (await ada.get(f"/tasks/{task_id}/events?after=0"))["items"]
        return True if any(each["type"] == "task.checkpoint" for each in events) else None

    await eventually(at_work, seconds=60, what="a checkpoint is stored")
    assert await ada.artifacts(task_id) == {}
    assert (await tree_of(ada, task_id))["README.md"] == b"one\n"
    await _cancelled(ada, task_id)


async def test_there_is_no_workspace_without_a_base(shop: Shop) -> None:
    place, ada = shop
    task_id = await ada.submit(
        {
            "prompt": "x",
            "source": {"git": {"url": "http://127.0.0.1:1/a.git"}},
            "limits": {"attempts": 1},
        }
    )
    early = await ada.client.get(f"/api/v1/tasks/{task_id}/workspace")
    assert (early.status_code, early.json()["code"]) == (409, "workspace_not_ready")
    assert int(early.headers["retry-after"]) >= 1
    await ada.finished(task_id, seconds=60)
    late = await ada.client.get(f"/api/v1/tasks/{task_id}/workspace")
    assert (late.status_code, late.json()["code"]) == (404, "workspace_not_found")
    unknown = await ada.client.get("/api/v1/tasks/task_00000000000000000000000000/workspace")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "task_not_found")
    done = await ada.submit(agent(bash(CHANGE), FINISH), archive=zipped(FILES))
    await ada.finished(done, seconds=60)
    for name in await place.platform.objects.names(f"codexsys-code/processed_code/{done}/"):
        await place.platform.objects.delete(name)
    gone = await ada.client.get(f"/api/v1/tasks/{done}/workspace")
    assert (gone.status_code, gone.json()["code"]) == (404, "workspace_not_found")
    assert nothing_under_way(place)


def _planted(*patches: str) -> str:
    """Return a script of a sandbox whose agent is not ours: it sends checkpoints of its own making."""
    bodies = [
        {"number": 900 + n, "step": 1, "state": {}, "patch": b64encode(patch.encode()).decode()}
        for n, patch in enumerate(patches)
    ]
    return f"""python3 - <<'END'
import json, urllib.request
for body in {bodies!r}:
    data = json.dumps(body).encode()
    url = "http://127.0.0.1:8700/v1/checkpoint"
    urllib.request.urlopen(urllib.request.Request(url, data, method="PUT")).read()
END
while :; do sleep 1; done"""


def _new(path: str, content: str, mode: str = "100644") -> str:
    head = (
        f'diff --git "a/{path}" "b/{path}"\nnew file mode {mode}\n--- /dev/null\n+++ "b/{path}"\n'
    )
    return f"{head}@@ -0,0 +1 @@\n+{content}\n\\ No newline at end of file\n"


@pytest.mark.parametrize(
    "patch",
    [
        _new(".git/hooks/post-checkout", "evil"),
        _new("../evil", "evil"),
        _new("out", "/etc", "120000") + _new("out/evil", "evil"),
        _new("sub", "Subproject commit " + "1" * 40, "160000"),
        "no patch at all",
    ],
)
async def test_a_checkpoint_that_attacks_is_no_change(shop: Shop, patch: str) -> None:
    place, ada = shop
    body = {"prompt": "x", "engine": "command", "command": _planted(patch)}
    task_id = await ada.submit(body, archive=zipped(FILES))

    async def planted() -> bool | None:
        return True if await place.platform.checkpoints.last(task_id) else None

    await eventually(planted, seconds=60, what="the checkpoint is stored")
    assert await ada.artifacts(task_id) == {}
    answer = await ada.client.get(f"/api/v1/tasks/{task_id}/workspace")
    assert (answer.status_code, answer.json()["code"]) == (409, "change_refused")
    assert nothing_under_way(place)
    await _cancelled(ada, task_id)


async def test_only_so_many_workspaces_are_sent_at_once(shop: Shop) -> None:
    place, ada = shop
    large = {"a.bin": os.urandom(24 << 20)}
    task_id = await ada.submit(agent(bash("echo b > b.txt"), FINISH), archive=zipped(large))
    await ada.finished(task_id, seconds=60)
    path = f"/api/v1/tasks/{task_id}/workspace"
    async with AsyncExitStack() as readers:
        for _ in range(4):  # all wait in the middle of what they read
            answer = await readers.enter_async_context(ada.client.stream("GET", path))
            assert answer.status_code == 200
        assert nothing_under_way(place)
        refused = await ada.client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (503, "workspaces_busy")
        assert int(refused.headers["retry-after"]) >= 1
        _, key = await make_key(place.platform, "eve")
        async with client_of(str(ada.client.base_url), key) as other:
            eve = User(other, "eve")
            hers = await eve.submit(agent(bash("echo e > e.txt"), FINISH), archive=zipped(FILES))
            await eve.finished(hers, seconds=60)
            assert (await tree_of(eve, hers))["e.txt"] == b"e\n"

    async def again() -> bool | None:
        return (await ada.client.get(path)).is_success or None

    await eventually(again, seconds=30, what="readers that left made room")
