"""The pages without a mouse: sign in, ask, answer, read, share and revoke; and what a link shows of a task."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, Route, expect
from tests.support.browser import Profile, fresh_profile
from tests.support.git_http import GitHttpServer, make_repository
from tests.support.seats import owner_of, sign_in
from tests.support.up_process import Up, running_up
from tests.support.users import User

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

SETTINGS = {
    "CODEXSYS_SANDBOX": "dummy",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
}
PATCH = "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1,2 @@\n one\n+two\n"
QUESTION = {"text": "Red or blue?", "options": ["red", "blue"], "default": "red"}
VARIABLES = {
    "DUMMY_PATCH": PATCH,
    "DUMMY_AGENT_ASK": json.dumps([QUESTION]),
    "DUMMY_AGENT_CHATTER": "300",
}
PROMPT = "Paint the shed; hush-hush."
WHERE = """() => {
  const here = document.activeElement;
  const marked = (each) => each && (getComputedStyle(each).outlineStyle !== "none" || marked(each.parentElement));
  const seen = here.getBoundingClientRect();
  const last = window.lastFocus;
  window.lastFocus = here;
  const after = !last?.isConnected || last === here || Boolean(last.compareDocumentPosition(here) & 4);
  return { tag: here.tagName, marked: marked(here), size: seen.width * seen.height, after };
}"""


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHttpServer]:
    root = tmp_path_factory.mktemp("served")
    make_repository(root / "shed.git", {"README.md": b"one\n"})
    with GitHttpServer(root) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """Start the platform with sandboxes that do what their variables say."""
    async with running_up(tmp_path_factory.mktemp("up"), SETTINGS) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(up: Up) -> AsyncIterator[User]:
    async with owner_of(up) as user:
        body = {"name": "shed", "variables": VARIABLES}
        assert (await user.client.post("/api/v1/environments", json=body)).status_code == 201
        yield user


async def tab_to(page: Page, wanted: Locator, *, most: int = 60) -> None:
    """Press Tab until it is there: each stop is visible, marked, and comes after the one before."""
    await expect(wanted).to_be_visible()
    for _ in range(most):
        await page.keyboard.press("Tab")
        here = await page.evaluate(WHERE)
        if here["tag"] != "BODY":
            assert here["marked"], await page.evaluate("document.activeElement.outerHTML")
            assert here["size"], await page.evaluate("document.activeElement.outerHTML")
            assert here["after"], await page.evaluate("document.activeElement.outerHTML")
        if await wanted.evaluate("(each) => each === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {wanted}")


async def loaded(page: Page, wanted: Locator) -> None:
    """Wait for a document that shows it, and for its scripts: before them nobody hears a key."""
    await expect(wanted).to_be_visible()
    await page.wait_for_load_state()


async def test_everything_can_be_done_with_the_keys_alone(
    up: Up, owner: User, forge: GitHttpServer
) -> None:
    async with fresh_profile(up.url) as person:
        page, keys = person.page, person.page.keyboard
        await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        await person.open("/")
        await expect(page.get_by_label("API key")).to_be_focused()
        await keys.type(up.key)
        await keys.press("Enter")
        await page.wait_for_url("**/tasks")
        await skip_to_the_content(page)
        await ask_for_a_task(page, forge.url("shed.git"))
        await answer_the_question(page)
        await read_it(page)
        link = await share_it(person)
        async with fresh_profile(up.url) as friend:
            assert await friend.open(link) == 200
            await expect(friend.page.locator("#status")).to_contain_text("Unverified")
            assert "hush-hush" not in await friend.page.content()
            await revoke_it(page)
            assert await friend.open(link) == 404
        await sign_out(page)
    del owner


async def skip_to_the_content(page: Page) -> None:
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    await expect(dialog).to_contain_text("New task")
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)


async def ask_for_a_task(page: Page, url: str) -> None:
    keys = page.keyboard
    await keys.press("c")
    await page.wait_for_url("**/submit")
    await tab_to(page, page.get_by_label("Git URL", exact=True))
    await keys.type(url)
    await tab_to(page, page.get_by_label("What should be done?"))
    await keys.type(PROMPT)
    fold = page.locator("summary", has=page.locator("text=Environment"))
    await tab_to(page, fold.first)
    await keys.press("Enter")
    await tab_to(page, page.locator("#environment"))
    await keys.type("shed")
    await keys.press("Control+Enter")
    await page.wait_for_url("**/tasks/task_*")


async def answer_the_question(page: Page) -> None:
    box = page.get_by_role("region", name="Question")
    await expect(box).to_be_visible(timeout=60_000)
    await tab_to(page, box.get_by_label("red"))
    await page.keyboard.press("ArrowDown")
    await expect(box.get_by_label("blue")).to_be_checked()
    await tab_to(page, box.get_by_role("button", name="Send answer"))
    await page.keyboard.press("Enter")
    await expect(page.locator("#status .st small")).to_have_text("finished", timeout=60_000)
    await loaded(
        page, page.get_by_role("button", name="Retry")
    )  # a task that is over has another page


async def read_it(page: Page) -> None:
    keys = page.keyboard
    await keys.press("1")
    await page.wait_for_url("**tab=diff*")  # the page before it shows the change, too
    await expect(page.locator("td.add", has_text="two").first).to_be_visible()
    await keys.press("j")
    await expect(page.locator(".file summary")).to_be_focused()
    await keys.press("s")
    await loaded(page, page.locator(".diff.split"))
    await keys.press("u")
    await loaded(page, page.locator(".diff:not(.split)"))
    await keys.press("2")
    await page.wait_for_url("**tab=log*")
    await keys.press("/")
    await keys.type("299")
    await expect(page.locator("[data-hits]")).to_have_text(re.compile("1 of"))
    await keys.press("Enter")
    await expect(page.locator(".log mark").first).to_be_in_viewport()
    await tab_to(page, page.get_by_role("group", name="Lines of the log"))
    await keys.press("3")
    await expect(page.locator(".step", has_text="Answer")).to_contain_text("blue")
    await page.wait_for_load_state()


async def share_it(person: Profile) -> str:
    """Make a link that shows no log, and copy it."""
    page, keys = person.page, person.page.keyboard
    opener = page.get_by_role("link", name="Share")
    await tab_to(page, opener)
    await keys.press("Enter")
    dialog = page.get_by_role("dialog", name="Share this task")
    await expect(dialog.get_by_label("Status and verdict")).to_be_focused()
    await expect(dialog.get_by_label("Prompt")).not_to_be_checked()
    await expect(dialog.get_by_label("Conversation")).not_to_be_checked()
    await tab_to(page, dialog.get_by_label("Log"))
    await keys.press("Space")
    await tab_to(page, dialog.get_by_label("Expires"))
    await keys.type("in 1 hour")
    await tab_to(page, dialog.get_by_role("button", name="Make a link"))
    await keys.press("Enter")
    await expect(dialog.get_by_role("button", name="Copy link")).to_be_focused()
    await keys.press("Enter")
    await expect(page.locator("#told")).to_have_text("Copied.")
    link = await page.locator("#new-share-url").inner_text()
    assert await page.evaluate("navigator.clipboard.readText()") == link
    await expect(dialog.get_by_label("Log")).not_to_be_checked()
    await expect(dialog.locator(".links li")).to_contain_text("Status and verdict, Diff, Report")
    await person.picture("share-dialog")
    await keys.press("Escape")
    await expect(dialog).to_have_count(0)
    await expect(opener).to_be_focused()
    assert page.url.endswith("tab=conversation")
    return link


async def revoke_it(page: Page) -> None:
    await page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Share this task")
    await expect(dialog.get_by_label("Status and verdict")).to_be_focused()
    await expect(dialog).not_to_contain_text("/s/")
    await tab_to(page, dialog.get_by_role("button", name=re.compile("^Revoke")))
    await page.keyboard.press("Enter")
    await expect(dialog).to_contain_text("None.")
    await expect(page.locator("#told")).to_have_text("The link is revoked.")
    await page.keyboard.press("Escape")


async def sign_out(page: Page) -> None:
    await page.keyboard.press("g")
    await page.keyboard.press("t")
    await page.wait_for_url("**/tasks")
    await page.keyboard.press("j")
    await expect(page.locator(".tasks h2 a")).to_be_focused()
    await page.reload()
    await tab_to(page, page.locator("details.menu > summary"))
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_role("button", name="Sign out"))
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/sign-in")


@asynccontextmanager
async def without_scripts_yet(page: Page) -> AsyncIterator[None]:
    """Hold back all scripts of the pages that are opened in the block, but for the tiny first one."""
    come = asyncio.Event()

    async def late(route: Route) -> None:
        await come.wait()
        await route.continue_()

    await page.route(re.compile(r"/static/(?!theme\.)[^/]+\.js$"), late)
    try:
        yield
    finally:
        come.set()
        await page.unroute_all(behavior="wait")


async def test_keys_that_are_pressed_before_the_scripts_are_there_are_heard(
    up: Up, owner: User
) -> None:
    (task,) = (await owner.get("/tasks"))["items"]
    diff = f"{up.url}/tasks/{task['id']}?tab=diff"
    async with fresh_profile(up.url) as person:
        page, keys = person.page, person.page.keyboard
        await sign_in(person, up)
        async with without_scripts_yet(page):
            await page.goto(f"{up.url}/tasks", wait_until="commit")
            await expect(page.locator(".tasks h2 a")).to_be_visible()
            await keys.press("?")
            await keys.press("c")  # meant for the dialog, where it is nothing
            await expect(page.get_by_role("dialog")).to_have_count(0)
        dialog = page.get_by_role("dialog", name="Keys")
        await expect(dialog).to_contain_text("New task")
        assert person.path == "/tasks"
        async with without_scripts_yet(page):
            await page.goto(f"{up.url}/tasks", wait_until="commit")
            await expect(page.locator(".tasks h2 a")).to_be_visible()
            await keys.type("/shed")
        await expect(page.locator("input[type=search]")).to_be_focused()
        await expect(page.locator("input[type=search]")).to_have_value("shed")
        async with without_scripts_yet(page):
            await page.goto(diff, wait_until="commit")
            await expect(page.locator(".diff:not(.split)")).to_be_visible()
            await keys.press("s")
        await loaded(page, page.locator(".diff.split"))
        await keys.press("u")
        await loaded(page, page.locator(".diff:not(.split)"))


PARTS = {
    "status": ("#status", ()),
    "diff": ("#diff", ("/diff?file=1", "/artifacts/diff.patch")),
    "logs": ("#log", ("/log?stream=agent", "/artifacts/agent.log")),
    "report": ("#report", ("/artifacts/report.md",)),
    "prompt": ("#prompt", ("/artifacts/prompt.txt",)),
    "conversation": ("#conversation", ("/artifacts/trajectory.json",)),
}


async def test_a_link_shows_the_parts_that_were_chosen_and_no_other(up: Up, owner: User) -> None:
    (task,) = (await owner.get("/tasks"))["items"]
    stored = await owner.artifacts(task["id"])
    async with fresh_profile(up.url) as friend:
        for chosen in PARTS:
            body = {"expires_in": 600, "parts": [chosen]}
            made = await owner.client.post(f"/api/v1/tasks/{task['id']}/shares", json=body)
            link = made.json()["url"]
            assert await friend.open(link) == 200
            for part, (place, addresses) in PARTS.items():
                await expect(friend.page.locator(place)).to_have_count(1 if part == chosen else 0)
                for address in addresses:
                    name = address.rpartition("/artifacts/")[2]
                    there = part == chosen and (name == address or name in stored)
                    answer = await friend.context.request.get(link + address)
                    assert answer.status == (200 if there else 404), (chosen, address)
            content = await friend.page.content()
            assert ("hush-hush" in content) == (chosen == "prompt"), chosen


async def test_links_are_made_and_revoked_without_a_script(up: Up, owner: User) -> None:
    (task,) = (await owner.get("/tasks"))["items"]
    async with fresh_profile(up.url, script=False) as person:
        page = person.page
        await sign_in(person, up)
        await person.open(f"/tasks/{task['id']}")
        await page.get_by_role("link", name="Share").click()
        already = await page.locator(".links li").count()
        await page.get_by_label("Log").uncheck()
        assert await person.press("Make another link" if already else "Make a link") == 200
        link = await page.locator("#new-share-url").inner_text()
        await expect(page.locator(".links li")).to_have_count(already + 1)
        assert (await person.context.request.get(link)).status == 200
        await page.get_by_role("button", name=re.compile("^Revoke")).first.click()
        await expect(page.locator(".links li")).to_have_count(already)
        assert (await person.context.request.get(link)).status == 404
