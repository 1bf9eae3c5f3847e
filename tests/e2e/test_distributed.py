"""Separate processes on the real servers: sixty tasks at once, and what each of them must show."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.support.distributed import Fleet
from tests.support.git_http import GitHttpServer, git, make_repository
from tests.support.users import User, user, zipped
from tests.support.wheels import SETUP
from tests.support.witness import agree, agrees, announced, download, followed, log_is_whole

pytestmark = [
    pytest.mark.stack,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(600),
]

FILES = {
    "README.md": "# A shop\n\nSells things.\n",
    "prices.py": "def total(prices):\n    return sum(prices) - 1\n",
    "test_prices.py": "from prices import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n",
}
TASKS = 60
SKIP = {"strategy": "skip"}
SHOWS = ("diff.patch", "report.json", "report.md", "prompt.txt", "evidence.zip")


@dataclass(frozen=True)
class Wish:
    """One task that is asked for, and what must come of it."""

    body: dict[str, Any]
    verdict: str | None
    changed: dict[str, str]
    """Files as they must be once the patch is applied."""
    zip: bool


@dataclass
class Done:
    """One task that is over."""

    wish: Wish
    user: User
    id: str
    task: dict[str, Any]
    artifacts: dict[str, dict[str, Any]]


def scripted(*steps: dict[str, Any]) -> dict[str, Any]:
    """Return a body whose prompt tells the scripted model what to do."""
    finish = {"status": "done", "summary": "As the script says.", "criteria": []}
    script = [*steps, {"say": "Done.", "tool": "finish", "arguments": finish}]
    return {
        "prompt": f"Follow the script.\n```scripted\n{json.dumps(script)}\n```\n",
        "checks": SKIP,
    }


def command(script: str, **more: Any) -> dict[str, Any]:
    """Return a body whose engine is a script."""
    return {
        "prompt": f"A codemod: {script}",
        "engine": "command",
        "command": script,
        "checks": SKIP,
        **more,
    }


def wish(number: int) -> Wish:
    """Return the task with this number: mostly codemods, some models, some explanations."""
    readme = f"# A shop\n\nSells {number} things.\n"
    kind = number % 10
    zip_ = number % 2 == 1
    if kind in (0, 1, 2):
        body = command(f"echo I see; cat README.md; echo number {number}", mode="explain")
        return Wish(body, None, {}, zip_)
    if kind == 3:
        body = scripted({"say": "I look.", "tool": "read", "arguments": {"path": "README.md"}})
        return Wish(body | {"mode": "explain"}, None, {}, zip_)
    if kind == 4:
        edit = {"path": "README.md", "old": "Sells things.", "new": f"Sells {number} things."}
        body = scripted({"say": "I edit.", "tool": "edit", "arguments": edit})
        return Wish(body, "unverified", {"README.md": readme}, zip_)
    if number in (5, 16):
        body = command("sed -i 's/ - 1//' prices.py") | {
            "checks": {"command": "python3 -m pytest -q"},
            "environment": {"setup": SETUP},
        }
        right = FILES["prices.py"].replace(" - 1", "")
        return Wish(body, "verified", {"prices.py": right}, zip_)
    if kind == 7:
        return Wish(command("true"), "no_change", {}, zip_)
    body = command(
        f"seq 200; sed -i 's/things/{number} things/' README.md; echo x > new-{number}.txt"
    )
    return Wish(body, "unverified", {"README.md": readme, f"new-{number}.txt": "x\n"}, zip_)


@pytest.fixture(
    scope="module", params=["fleet", pytest.param("docker_fleet", marks=pytest.mark.docker)]
)
def hosts(request: pytest.FixtureRequest) -> Fleet:
    """Return the platform that the tasks run on: with either kind of sandbox."""
    fleet: Fleet = request.getfixturevalue(request.param)
    return fleet


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, str]]:
    """Serve a repository: its work tree, its URL, its commit."""
    root = tmp_path_factory.mktemp("git")
    commit = make_repository(root / "shop", FILES)
    with GitHttpServer(root) as server:
        yield root / "shop", server.url("shop"), commit


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def users(hosts: Fleet) -> AsyncIterator[list[User]]:
    """Give three tenants, at the two APIs in turn."""
    apis = hosts.named("api")
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                user(hosts.servers, apis[number % 2].url, f"tenant {number}")
            )
            for number in range(3)
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sixty(
    users: list[User], repository: tuple[Path, str, str]
) -> tuple[list[Done], dict[str, list[dict[str, Any]]]]:
    """Submit all at once and follow some live; return them when all are over."""
    _, url, _ = repository
    archive = zipped(FILES)

    async def submit(number: int) -> tuple[Wish, User, str]:
        wanted, who = wish(number), users[number % 3]
        if wanted.zip:
            return wanted, who, await who.submit(wanted.body, archive=archive)
        return wanted, who, await who.submit(wanted.body | {"source": {"git": {"url": url}}})

    taken = await asyncio.gather(*(submit(number) for number in range(TASKS)))
    following = {
        task_id: asyncio.create_task(followed(who, f"/tasks/{task_id}/events"))
        for _, who, task_id in taken[::6]
    }
    done = []
    for wanted, who, task_id in taken:
        task = await who.finished(task_id, seconds=300)
        done.append(Done(wanted, who, task_id, task, await who.artifacts(task_id)))
    return done, {task_id: await live for task_id, live in following.items()}


Sixty = tuple[list[Done], dict[str, list[dict[str, Any]]]]


async def test_each_reaches_the_end_it_should(sixty: Sixty) -> None:
    assert len({each.id for each in sixty[0]}) == TASKS
    for each in sixty[0]:
        found = (each.task["status"], each.task["verdict"])
        wanted = ("failed" if each.wish.verdict == "no_change" else "succeeded", each.wish.verdict)
        assert found == wanted, json.dumps(each.task)


async def test_both_workers_have_worked(sixty: Sixty) -> None:
    attempts = [(await each.user.get(f"/tasks/{each.id}/attempts"))["items"] for each in sixty[0]]
    assert all(len(each) == 1 for each in attempts)
    assert len({each[0]["owner"] for each in attempts}) == 2


async def test_sse_and_polling_agree(sixty: Sixty) -> None:
    done, live = sixty
    for each in done:
        told = live.get(each.id) or await followed(each.user, f"/tasks/{each.id}/events")
        await agrees(each.user, each.id, told)


async def test_logs_have_no_gap_and_no_repeat(sixty: Sixty) -> None:
    for each in sixty[0]:
        text = await log_is_whole(each.user, each.id, "agent")
        assert text.strip(), each.task
        if "seq 200" in each.wish.body.get("command", ""):
            numbers = [line for line in text.splitlines() if line.isdecimal()]
            assert numbers == [str(number) for number in range(1, 201)]


async def test_artifacts_come_by_plain_curl_and_patches_apply(
    sixty: Sixty, repository: tuple[Path, str, str], tmp_path: Path
) -> None:
    tree, _, commit = repository
    for each in sixty[0]:
        assert set(SHOWS) <= set(each.artifacts), each.artifacts.keys()
        folder = tmp_path / each.id
        await asyncio.to_thread(download, each.artifacts, folder)
        base = tmp_path / f"{each.id}-base"
        if each.wish.zip:
            make_repository(base, FILES)
        else:
            git(tmp_path, "clone", "--quiet", str(tree), str(base))
            git(base, "checkout", "--quiet", commit)
        if not each.wish.changed:
            assert (folder / "diff.patch").read_bytes() == b""
            continue
        git(base, "apply", "--check", str(folder / "diff.patch"))
        git(base, "apply", str(folder / "diff.patch"))
        for name, content in each.wish.changed.items():
            assert (base / name).read_text() == content


async def test_each_is_announced_and_all_copies_are_equal(hosts: Fleet, sixty: Sixty) -> None:
    done = {each.id: each for each in sixty[0]}
    seen = await announced(hosts.servers, set(done), seconds=60)
    for task_id, copies in seen.items():
        agree(copies, done[task_id].task, done[task_id].artifacts)
