"""The list of tasks in Chromium: filters in its address, changes without a flicker, pages, no script."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import FloatRect, Page, expect
from tests.support.browser import Profile, fresh_profile
from tests.support.seats import owner_of, sign_in
from tests.support.up_process import Up, running_up
from tests.support.users import User, zipped

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

PATCH = "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1,2 @@\n one\n+two\n"
SOURCE = zipped({"README.md": "one\n"})
MARK = "document.querySelectorAll('.tasks > li, .tasks h2').forEach((each) => (each.seen = true))"
KEPT = "[...document.querySelectorAll('.tasks > li, .tasks h2')].every((each) => each.seen)"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """Start the platform with sandboxes that do what their variables say, one task at a time."""
    settings = {"CODEXSYS_SANDBOX": "dummy", "CODEXSYS_WORKER_SLOTS": "1"}
    async with running_up(tmp_path_factory.mktemp("up"), settings) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(up: Up) -> AsyncIterator[User]:
    async with owner_of(up) as user:
        yield user


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def person(up: Up) -> AsyncIterator[Profile]:
    async with fresh_profile(up.url) as profile:
        await sign_in(profile, up)
        yield profile


async def ask_for(owner: User, prompt: str, *, seconds: int = 0, team: str = "data") -> str:
    """Ask for a task whose agent takes so long."""
    variables = {"DUMMY_PATCH": PATCH, "DUMMY_AGENT_DELAY": str(seconds)}
    body = {"prompt": prompt, "labels": {"team": team}, "environment": {"variables": variables}}
    return await owner.submit(body, archive=SOURCE)


async def test_an_empty_list_says_how_to_begin(owner: User, person: Profile) -> None:
    page = person.page
    await person.open("/tasks")
    await expect(page.get_by_role("heading", name="No tasks yet")).to_be_visible()
    assert await person.open("/tasks?label=team") == 422
    await expect(page.get_by_label("Label")).to_have_attribute("aria-invalid", "true")
    await expect(page.locator("#label-e")).to_contain_text("name=value")
    await person.picture("tasks-wrong")
    done = await ask_for(owner, "Add a --json flag to the list command")
    assert (await owner.finished(done, seconds=60))["verdict"] == "unverified"
    await person.open("/tasks")
    row = page.locator(f"#{done}")
    for said in ("Succeeded", "finished", "Unverified", "1 file", "$0.00", "of $5.00", "team=data"):
        await expect(row).to_contain_text(said)


async def test_filters_live_in_the_address(owner: User, person: Profile) -> None:
    page = person.page
    web = await ask_for(owner, 'Say "100 %" twice', team="web")
    await owner.finished(web, seconds=60)
    await person.open("/tasks")
    await page.keyboard.press("/")
    await page.keyboard.type('SAY "100 %')
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/tasks?q=SAY+%22100+%25")
    await expect(page.locator(".tasks h2")).to_have_text(['Say "100 %" twice'])
    await page.get_by_label("Label").fill("team=web")
    await page.get_by_label("Verdict").select_option("Unverified")
    await page.get_by_role("button", name="Filter").click()
    await expect(page.locator(f".tasks #{web}")).to_be_visible()
    assert "label=team%3Dweb" in person.path
    await page.get_by_role("link", name="Succeeded").click()
    assert "status=succeeded" in person.path
    assert "label=team%3Dweb" in person.path
    await expect(page.locator(f".tasks #{web}")).to_be_visible()
    await page.get_by_role("link", name="Failed").click()
    await expect(page.get_by_role("heading", name="No task matches")).to_be_visible()
    await person.picture("tasks-none")
    await page.get_by_role("link", name="Clear", exact=True).click()
    assert person.path == "/tasks"
    await page.go_back()
    await expect(page.get_by_label("Label")).to_have_value("team=web")


async def test_rows_change_where_they_are(owner: User, person: Profile) -> None:
    page = person.page
    slow = await ask_for(owner, "Take your time", seconds=600)
    waits = [await ask_for(owner, f"Wait, number {each}") for each in range(12)]
    await person.open("/tasks")
    running = page.locator(f"#{slow} .st").first
    await expect(running).to_have_text("Running")
    await expect(page.locator("#states a", has_text="Queued")).to_have_text("Queued 12")
    await page.set_viewport_size({"width": 800, "height": 500})
    link = page.locator(f"#{waits[5]} a")
    await link.focus()
    await page.evaluate("scrollBy(0, 60)")
    await page.evaluate(MARK)
    before = await page.evaluate("[scrollY, document.body.offsetHeight]")
    for each in (waits[5], slow):
        await owner.client.post(f"/api/v1/tasks/{each}/cancel")
    row = page.locator(f"#{waits[5]}")
    await expect(row.locator(".st").first).to_have_text("Cancelled")
    await expect(running).to_have_text("Cancelled")
    await expect(link).to_be_focused()
    assert await page.evaluate("[scrollY, document.body.offsetHeight]") == before
    assert await page.evaluate(KEPT)
    await expect(page.get_by_role("link", name="newer")).to_have_count(0)
    new = await ask_for(owner, "Came while somebody looked")
    await expect(page.get_by_role("link", name="1 newer task: show it")).to_be_visible()
    await expect(page.locator("#told")).to_have_text(
        re.compile("newer task|: Cancelled|: Running|: Succeeded")
    )
    assert await page.locator(f"#{new}").count() == 0
    assert await page.evaluate("scrollY") == before[0]
    await page.get_by_role("link", name="1 newer task: show it").click()
    await expect(page.locator(f"#{new}")).to_be_visible()
    await page.set_viewport_size({"width": 1280, "height": 800})


async def test_a_running_task_says_where_it_is_and_what_it_costs(
    owner: User, person: Profile
) -> None:
    page = person.page
    slow = await ask_for(owner, "Take your time, and say so", seconds=600)
    await person.open(f"/tasks/{slow}")
    now = page.locator("#phases [aria-current=step]")
    await expect(now).to_contain_text("Analyzing", timeout=60_000)
    await expect(page.locator("#phases li", has_text="Setup")).to_have_text(
        re.compile(r"Setup\d+ s")
    )
    for ticks in (
        now.locator("small"),
        page.locator("#status .st > span"),
        page.locator("#facts dd > span"),
    ):
        said = await ticks.inner_text()
        await expect(ticks).not_to_have_text(said)
    await expect(page.locator("#facts")).to_contain_text("of $5.00")
    wide, narrow = await sides(page)
    assert narrow["x"] > wide["x"] + wide["width"]
    await person.picture("task-running")
    await page.set_viewport_size({"width": 390, "height": 844})
    wide, narrow = await sides(page)
    assert narrow["y"] < wide["y"]
    await page.set_viewport_size({"width": 1280, "height": 800})
    await page.get_by_role("link", name="team=data").click()
    await expect(page.locator(f"#{slow}")).to_be_visible()
    await page.go_back()
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#status h2")).to_have_text("Cancelled")
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_text("retry of")).to_be_visible()
    await page.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#status h2")).to_have_text("Cancelled")
    await person.over()


async def sides(page: Page) -> tuple[FloatRect, FloatRect]:
    """Where the log is, and where the numbers are."""
    log, facts = (
        await page.locator("#log").bounding_box(),
        await page.locator("#facts").bounding_box(),
    )
    assert log is not None
    assert facts is not None
    return log, facts


async def test_a_result_is_carried_on_from(owner: User, person: Profile) -> None:
    page = person.page
    done = await ask_for(owner, "Add a line to the README")
    await owner.finished(done, seconds=60)
    await person.open(f"/tasks/{done}")
    await page.get_by_role("link", name="Carry on from here").click()
    await expect(page.get_by_label("Earlier task")).to_be_checked()
    await expect(page.locator("#from")).to_have_value(done)
    await page.get_by_label("What should be done?").fill("Now say it in German.")
    await person.picture("submit-follow-up")
    await page.get_by_role("button", name="Start task").click()
    await page.wait_for_url("**/tasks/task_*")
    made = person.path.removeprefix("/tasks/")
    assert (await owner.get(f"/tasks/{made}"))["source"]["task"] == done
    await expect(page.get_by_text("result of an earlier task")).to_be_visible()


async def test_a_list_that_cannot_be_asked_says_so_and_goes_on(person: Profile) -> None:
    page = person.page
    await person.open("/tasks")
    await page.route("**/tasks?through=*", lambda route: route.abort())
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator("#live-state")).to_have_text(re.compile(r"not live since \d+:\d+"))
    await expect(page.locator(".tasks > li").nth(1)).to_be_visible()
    await page.unroute("**/tasks?through=*")
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator("#live-state")).to_have_text("live")
    person.forgive("net::ERR_FAILED")


async def test_pages_follow_one_another_without_a_script(
    up: Up, owner: User, person: Profile
) -> None:
    for each in range(8):
        await ask_for(owner, f"Fill the page, number {each}")
    async with fresh_profile(up.url, script=False) as reader:
        page = reader.page
        await sign_in(reader, up)
        await reader.open("/tasks?label=team%3Ddata")
        first = await page.locator(".tasks h2 a").evaluate_all(
            "all => all.map((each) => each.href)"
        )
        assert len(first) == 20
        await page.get_by_role("link", name="Older").click()
        second = await page.locator(".tasks h2 a").evaluate_all(
            "all => all.map((each) => each.href)"
        )
        assert second
        assert max(second) < min(first)
        assert "label=team%3Ddata" in reader.path
        await page.get_by_role("link", name="Newest").click()
        await expect(page.locator(".tasks h2 a")).to_have_count(20)
        await page.get_by_label("Search").fill("number 3")
        assert await reader.press("Filter") == 200
        await expect(page.locator(".tasks h2").first).to_have_text("Fill the page, number 3")
        await expect(page.get_by_text("live", exact=True)).to_be_hidden()
        await page.get_by_role("link", name="Refresh").click()
        await expect(page.locator(".tasks h2").first).to_have_text("Fill the page, number 3")


async def test_what_has_not_changed_is_not_sent_again(up: Up, person: Profile) -> None:
    await person.open("/tasks?q=--json")
    ask = "(tag) => fetch(location.href, {headers: {'If-None-Match': tag}}).then((a) => [a.status, a.headers.get('ETag')])"
    await expect(person.page.locator(".tasks h2")).to_have_count(1)
    _, tag = await person.page.evaluate(ask, "")
    status, again = await person.page.evaluate(ask, tag)
    assert status == 304 or again != tag  # an age in it may have grown meanwhile
