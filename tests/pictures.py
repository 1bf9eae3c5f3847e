"""Takes the pictures of docs/images, in Chromium, of the demo's repository: python -m tests.pictures."""

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Page
from tests.support.browser import Profile, fresh_profile
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.seats import owner_of, sign_in
from tests.support.up_process import running_up
from tests.support.users import User

from codexsys_cli.demo.run import CHECKS, PROMPT, REPOSITORY

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 200_000
SETTINGS = {
    "CODEXSYS_SANDBOX": "local",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
    "CODEXSYS_WORKER_SLOTS": "3",
}
OTHERS = (
    (
        "Say in the README how a stock is counted",
        "data",
        "echo 'A stock counts items.' >> README.md",
    ),
    (
        "Round the value of a stock to cents",
        "data",
        "sed -i 's/return/return -/' inventory/stock.py",
    ),
    ("Remove imports that nothing uses", "web", "true"),
)
SLOW = """echo '$ python3 -m pytest -q'
printf '......\\033[31mF\\033[0m....\\n'
printf '\\033[31mFAILED\\033[0m tests/test_stock.py::\\033[1mtest_total\\033[0m\\n'
sed -n 1,24p inventory/stock.py
sleep 600
"""


def serve(folder: Path) -> GitHttpServer:
    """Serve the repository of the demo."""
    files = {
        str(path.relative_to(REPOSITORY)): path.read_bytes()
        for path in REPOSITORY.rglob("*")
        if path.is_file() and not {"__pycache__", ".pytest_cache"} & set(path.parts)
    }
    make_repository(folder / "warehouse" / "inventory.git", files)
    return GitHttpServer(folder)


async def ask(owner: User, url: str, prompt: str, team: str, **more: object) -> str:
    """Ask for a task on the repository."""
    source = {"git": {"url": url, "ref": "main"}}
    body = {"prompt": prompt, "source": source, "labels": {"team": team}}
    return await owner.submit(body | {"checks": {"command": CHECKS}} | more)


async def tasks_in(owner: User, url: str) -> tuple[str, str]:
    """Make the tasks that the list shows; return the one that was solved and the one that runs."""
    for prompt, team, command in OTHERS:
        made = await ask(owner, url, prompt, team, engine="command", command=command)
        await owner.finished(made, seconds=180)
    solved = await ask(owner, url, PROMPT, "data")
    await owner.finished(solved, seconds=180)
    slow = await ask(
        owner, url, "Count what is on its way, too", "web", engine="command", command=SLOW
    )
    return solved, slow


async def take(page: Page, name: str) -> None:
    """Write one picture, small enough to be read over a slow line."""
    await page.evaluate("document.fonts.ready")
    content = await page.screenshot()
    if len(content) > MOST_BYTES:
        raise SystemExit(f"{name} has {len(content):,} bytes, more than {MOST_BYTES:,}")
    await asyncio.to_thread((IMAGES / f"{name}.png").write_bytes, content)


async def take_all(person: Profile, solved: str, slow: str) -> None:
    """Go through the pages and photograph each."""
    page = person.page
    await person.open(f"/tasks/{slow}")
    await page.locator(".log .a-red").first.wait_for(timeout=120_000)
    await take(page, "task-running")
    await person.open("/tasks")
    await take(page, "tasks")
    await person.open(f"/tasks/{solved}")
    await take(page, "task")
    await page.get_by_role("link", name="Share").click()
    await page.get_by_role("dialog").wait_for()
    await take(page, "share")
    await page.emulate_media(color_scheme="dark")
    await person.open(f"/tasks/{solved}?tab=diff&view=split")
    await page.locator("#diff").evaluate("(diff) => scrollTo(0, diff.offsetTop - 72)")
    await take(page, "diff-split")
    await page.set_viewport_size({"width": 390, "height": 844})
    await person.open(f"/tasks/{solved}")
    await take(page, "phone")


async def main() -> None:
    """Start a platform, let it work, and photograph it."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        with serve(folder / "served") as server:
            async with running_up(folder / "up", SETTINGS) as up, owner_of(up) as owner:
                url = server.url("warehouse/inventory.git")
                solved, slow = await tasks_in(owner, url)
                async with fresh_profile(up.url) as person:
                    await sign_in(person, up)
                    await take_all(person, solved, slow)
                await owner.client.post(f"/api/v1/tasks/{slow}/cancel")
                await owner.finished(slow, seconds=60)


if __name__ == "__main__":
    asyncio.run(main())
