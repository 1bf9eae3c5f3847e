"""A person walks through the pages in Chromium: sign-in, submit, watch, diff, share, revoke."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import Page, expect
from tests.support.browser import Profile, fresh_profile
from tests.support.git_http import GitHttpServer, git, make_repository
from tests.support.seats import sign_in
from tests.support.up_process import Up, running_up

from codexsys_cli.demo.run import CHECKS, REPOSITORY

pytestmark = pytest.mark.browser

SETTINGS = {
    "CODEXSYS_SANDBOX": "local",
    "CODEXSYS_ALLOW_NETWORKS": "127.0.0.0/8",
    "CODEXSYS_ALLOW_HTTP_GIT": "1",
}
PROMPT = "The inventory says too small a total. Find out why <b>and</b> fix it; hush-hush."
TASK_SECONDS = 120


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[GitHttpServer]:
    """Serve the repository of the demo."""
    root = tmp_path / "served"
    files = {
        str(path.relative_to(REPOSITORY)): path.read_bytes()
        for path in REPOSITORY.rglob("*")
        if path.is_file() and not {"__pycache__", ".pytest_cache"} & set(path.parts)
    }
    make_repository(root / "inventory.git", files)
    with GitHttpServer(root) as server:
        yield server


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Up]:
    async with running_up(tmp_path / "up", SETTINGS) as running:
        yield running


@pytest.fixture
async def person(up: Up) -> AsyncIterator[Profile]:
    async with fresh_profile(up.url) as profile:
        yield profile


async def fold_out(page: Page, title: str) -> None:
    await page.locator("details.fold > summary", has_text=title).click()


async def watch_until_verified(person: Profile, name: str) -> str:
    """Follow the page, which renews itself, until the verdict is there; return the page's path."""
    page, path = person.page, person.path
    assert re.fullmatch(r"/tasks/task_\w+", path)
    await expect(page.get_by_role("list", name="Phases")).to_be_visible()
    await expect(page.get_by_text("This page follows the task.")).to_be_visible()
    await expect(page.locator(".log").first).to_be_visible(timeout=TASK_SECONDS * 1000)
    await person.open(f"{path}?live=0")
    await person.picture(f"{name}-running")
    await person.open(path)
    verdict = page.locator("#status[data-is=verified]")
    await expect(verdict).to_be_visible(timeout=TASK_SECONDS * 1000)
    await person.over()
    assert page.url.endswith(path)
    return path


async def shown_diff(page: Page) -> None:
    """Look at the change: the file by its name, its lines, the numbers of the checks."""
    await expect(page.locator(".file .path")).to_have_text(["inventory/stock.py"])
    assert await page.locator("td.add.s, td.s.add").count() >= 1
    assert await page.locator("td.s.del").count() >= 1
    await expect(page.locator(".counts")).to_contain_text("Before")


async def downloaded(person: Profile, link: str, target: Path) -> bytes:
    async with person.page.expect_download() as download:
        await person.page.get_by_role("link", name=link, exact=True).click()
    await (await download.value).save_as(target)
    return await asyncio.to_thread(target.read_bytes)


async def every_tab(person: Profile, path: str, name: str) -> None:
    await person.open(f"{path}?tab=log&stream=verify")
    await expect(person.page.get_by_label("Jump to")).to_contain_text("checks before the change")
    await person.picture(f"{name}-log-verify")
    for tab in ("Log", "Conversation", "Checks", "Files", "Details", "Diff"):
        tabs = person.page.get_by_role("navigation", name="Parts of the task")
        await tabs.get_by_role("link", name=re.compile(f"^{tab}")).click()
        current = person.page.locator(".tabs a[aria-current=page]")
        await expect(current).to_contain_text(tab)
        assert person.path == f"{path}?tab={tab.lower()}"
        await person.picture(f"{name}-{tab.lower()}")


async def test_git_from_sign_in_to_a_revoked_link(
    up: Up, demo: GitHttpServer, person: Profile, tmp_path: Path
) -> None:
    page = person.page
    await person.open("/")
    assert person.path == "/sign-in"
    await person.picture("sign-in")
    assert await person.open(up.sign_in_link) == 200
    assert person.path == "/tasks"
    await expect(page.get_by_role("heading", name="No tasks yet")).to_be_visible()
    await person.picture("tasks-empty")

    await page.get_by_role("link", name="New task").first.click()
    await page.get_by_label("Git URL", exact=True).fill(demo.url("inventory.git"))
    await page.get_by_label("What should be done?").fill(PROMPT)
    await fold_out(page, "Checks")
    await page.get_by_label("Command").fill(CHECKS)
    await person.picture("submit")
    assert await person.press("Start task") == 200

    path = await watch_until_verified(person, "git")
    await expect(page.locator("h1")).to_contain_text("<b>and</b>")
    await shown_diff(page)
    await person.picture("task-done")
    await every_tab(person, path, "task")
    patch = await downloaded(person, "diff.patch", tmp_path / "diff.patch")
    assert b"inventory/stock.py" in patch
    git(demo.root / "inventory.git", "apply", "--check", str(tmp_path / "diff.patch"))

    await person.open("/tasks")
    await expect(page.locator(".tasks")).to_contain_text("Verified")
    await person.picture("tasks")
    await what_was_used(person)
    await person.open(path)
    await share_and_revoke(person, up, path)

    await page.locator("details.menu > summary").click()
    await person.press("Sign out")
    await person.open(path)
    assert person.path == "/sign-in"
    assert await person.open(up.sign_in_link) == 401


async def what_was_used(person: Profile) -> None:
    """See the task's tokens drawn and as a table; a label that is none stays beside what is wrong."""
    page = person.page
    await page.get_by_role("link", name="Usage", exact=True).click()
    for drawn in ("Cost by day", "Tokens by day"):
        await expect(page.get_by_role("img", name=drawn)).to_be_visible()
    today = page.get_by_role("region", name="Usage by day").locator("tbody tr").first
    assert int((await today.locator("td").nth(3).inner_text()).replace(",", "")) > 0
    await page.get_by_label("Label").fill("team")
    await page.get_by_label("Label").press("Enter")
    await expect(page.get_by_role("region", name="Usage by team")).to_contain_text("without it")
    await person.picture("usage")
    await page.get_by_role("link", name="7 days").click()
    assert person.path == "/usage?days=7&label=team"
    assert await person.open("/usage?label=%3D") == 422
    await expect(page.get_by_label("Label")).to_have_value("=")
    await expect(page.locator("#label-e")).to_be_visible()


async def share_and_revoke(person: Profile, up: Up, path: str) -> None:
    """Give a link to somebody who has no account, and take it back while they read."""
    page = person.page
    await page.get_by_role("link", name="Share").click()
    await page.get_by_label("Expires").select_option("in 1 hour")
    await page.get_by_role("button", name="Make a link").click()
    link = await page.locator("#new-share-url").inner_text()
    assert link.startswith(f"{up.url}/s/")
    await person.picture("share-made")
    async with fresh_profile(up.url) as friend:
        assert await friend.open(link) == 200
        await read_shared(friend, link)
        await friend.picture("shared")
        assert await friend.open(path) == 200
        assert friend.path == "/sign-in"
        await person.open(f"{path}?tab=share")
        await person.page.get_by_role("button", name=re.compile("^Revoke")).click()
        await expect(page.locator("#share")).to_contain_text("None.")
        assert await friend.open(link) in {404, 410}
        await expect(friend.page.locator("h1")).to_be_visible()
        await friend.picture("shared-gone")
        gone = await friend.context.request.get(f"{link}/artifacts/diff.patch")
        assert gone.status in {404, 410}


async def read_shared(friend: Profile, link: str) -> None:
    """See the verdict, the diff and the files, and neither prompt nor cost anywhere."""
    await expect(friend.page.locator("#status[data-is=verified]")).to_be_visible()
    await shown_diff(friend.page)
    told = [await friend.page.content()]
    for file in await friend.page.locator("#files a[download]").all():
        address = await file.get_attribute("href") or ""
        answer = await friend.context.request.get(link.partition("/s/")[0] + address)
        assert answer.status == 200, address
        told.append(await answer.text())
    assert len(told) > 2
    for text in told:
        assert "hush-hush" not in text
        assert not re.search(r"cost|\$ ?\d|USD|\btokens\b", text, re.IGNORECASE)
    prompt = await friend.context.request.get(f"{link}/artifacts/prompt.txt")
    assert prompt.status == 404


async def test_a_zip_from_the_form_to_its_diff(
    up: Up, demo: GitHttpServer, person: Profile, tmp_path: Path
) -> None:
    page, archive = person.page, tmp_path / "inventory.zip"
    git(demo.root / "inventory.git", "archive", "--output", str(archive), "HEAD")
    await sign_in(person, up)
    await person.open("/submit")
    await page.locator("#src-zip").check()
    await expect(page.get_by_label("Git URL", exact=True)).to_be_hidden()
    await page.locator("input[type=file]").set_input_files(archive)
    await page.get_by_label("What should be done?").fill(PROMPT)
    await fold_out(page, "Checks")
    await page.get_by_label("Command").fill(CHECKS)
    await person.picture("submit-zip")
    assert await person.press("Start task") == 200
    headers = {"Authorization": f"Bearer {up.key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as owner:
        messages = f"{up.url}/api/v1{person.path}/messages"
        sent = await owner.post(messages, json={"text": "Keep it small."})
        assert (sent.status_code, sent.json()["delivered_at"]) == (202, None)
        await watch_until_verified(person, "zip")
        (message,) = (await owner.get(messages)).json()["items"]
        assert message["delivered_at"] is not None
    await shown_diff(page)
    await downloaded(person, "diff.patch", tmp_path / "zip.patch")
    git(demo.root / "inventory.git", "apply", "--check", str(tmp_path / "zip.patch"))


@pytest.fixture
async def plain(up: Up) -> AsyncIterator[Profile]:
    """A browser that runs no script."""
    async with fresh_profile(up.url, script=False) as profile:
        yield profile


async def test_the_form_keeps_what_was_typed_beside_what_is_wrong(up: Up, plain: Profile) -> None:
    person, page = plain, plain.page
    await sign_in(person, up)
    await person.open("/submit")
    typed = {
        "Git URL": "ftp://example.org/a.git",
        "Ref": "main",
        "What should be done?": "\nFirst an empty line, then\n  <i>this</i> & that",
        "Cost limit": "much",
        "Labels": "team",
    }
    for title in ("Limits", "Labels"):
        await fold_out(page, title)
    for label, value in typed.items():
        await page.locator(f"#{await field_id(page, label)}").fill(value)
    assert await person.press("Start task") == 422
    assert person.path == "/submit"
    for label, value in typed.items():
        field = page.locator(f"#{await field_id(page, label)}")
        await expect(field).to_have_value(value)
        await expect(field).to_be_visible()
    await person.picture("submit-wrong")
    for label in ("Cost limit", "Labels"):
        await wrong_beside(page, label)
    await page.locator("#cost_usd").fill("1")
    await page.locator("#labels").fill("team=data")
    assert await person.press("Start task") == 422
    await wrong_beside(page, "Git URL")
    await page.locator("#src-zip").check()
    assert await person.press("Start task") == 422
    await expect(page.locator("#src-zip")).to_be_checked()
    await expect(page.locator("#zip-e")).to_have_text("Choose a zip file.")
    await no_zip(person)
    assert await person.open("/tasks/task_unknown") == 404
    await person.picture("problem")
    await person.page.get_by_role("link", name="All tasks").click()
    await person.page.wait_for_url("**/tasks")
    assert await person.open("/tasks") == 200
    await expect(page.get_by_role("heading", name="No tasks yet")).to_be_visible()


async def no_zip(person: Profile) -> None:
    """Send a file that is no zip: said beside the file, and nothing typed is lost."""
    page = person.page
    file = {"name": "a.zip", "mimeType": "application/zip", "buffer": b"not a zip at all"}
    await page.locator("#zip").set_input_files(file)  # type: ignore[arg-type]
    assert await person.press("Start task") in {415, 422}
    await expect(page.locator("#zip-e")).to_be_visible()
    await expect(page.locator("#labels")).to_have_value("team=data")
    await expect(page.get_by_label("What should be done?")).to_have_value(re.compile("First an"))


async def field_id(page: Page, label: str) -> str:
    """Return the id of the text field that a label is for."""
    found = page.locator("label[for]", has_text=re.compile(rf"^{re.escape(label)}"))
    return await found.first.get_attribute("for") or ""


async def wrong_beside(page: Page, label: str) -> None:
    """See that the field says it is wrong and names the sentence that stands right below it."""
    name = await field_id(page, label)
    field, sentence = page.locator(f"#{name}"), page.locator(f"#{name}-e")
    await expect(field).to_have_attribute("aria-invalid", "true")
    assert f"{name}-e" in (await field.get_attribute("aria-describedby") or "")
    await expect(sentence).to_be_visible()
    upper, lower = await field.bounding_box(), await sentence.bounding_box()
    assert upper is not None
    assert lower is not None
    assert 0 <= lower["y"] - (upper["y"] + upper["height"]) < 60
