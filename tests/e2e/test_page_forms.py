"""What people type into the pages, answer there and send, in Chromium, with and without scripts."""

import json
import random
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from tests.support.browser import fresh_profile
from tests.support.seats import owner_of, sign_in
from tests.support.up_process import Up, running_up
from tests.support.users import zipped

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

EVIL = "<img src=x onerror=alert(1)>"
PATCH = "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1 +1,2 @@\n one\n+two\n"
KEEP_WHAT_IS_SAID = """() => {
  const box = document.querySelector(".upload .hint");
  const keep = () => sessionStorage.setItem("said", (sessionStorage.getItem("said") ?? "") + box.textContent);
  new MutationObserver(keep).observe(box, { childList: true, characterData: true, subtree: true });
}"""
KEEP_WHAT_IS_TOLD = """() => {
  const told = document.getElementById("told");
  const keep = () => told.textContent && (told.dataset.kept = told.textContent);
  new MutationObserver(keep).observe(told, { childList: true, characterData: true, subtree: true });
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    """A platform with sandboxes that do what their variables say."""
    settings = {"CODEXSYS_SANDBOX": "dummy"}
    async with running_up(tmp_path_factory.mktemp("rehearsal"), settings) as running:
        yield running


async def test_a_question_is_answered_where_it_is_asked(rehearsal: Up) -> None:
    ask = [{"text": f"Red or {EVIL}?", "options": ["red", "blue"], "default": "blue"}]
    variables = {"DUMMY_AGENT_ASK": json.dumps(ask), "DUMMY_PATCH": PATCH}
    async with (
        owner_of(rehearsal) as owner,
        fresh_profile(rehearsal.url) as person,
    ):
        page = person.page
        await sign_in(person, rehearsal)
        body = {"prompt": "Paint it.", "environment": {"variables": variables}}
        task_id = await owner.submit(body, archive=zipped({"README.md": "one\n"}))
        await person.open(f"/tasks/{task_id}")
        box = page.get_by_role("region", name="Question")
        await expect(box).to_contain_text(f"Red or {EVIL}?", timeout=60_000)
        await expect(page.locator("#status h2")).to_have_text("Needs an answer")
        await expect(box.get_by_label("blue")).to_be_checked()
        await person.picture("question")
        await page.get_by_text("Tell the agent something").click()
        await page.get_by_label("Message").fill(f"Mind {EVIL}!")
        await person.picture("message")
        assert await person.press("Send") == 200
        message = page.locator(".step", has_text="Message")
        await expect(message).to_contain_text(f"Mind {EVIL}!")
        await expect(message).to_contain_text("not read yet")
        await box.get_by_label("red").check()
        # What comes may be over before it has loaded, and then another page takes its place.
        await box.get_by_role("button", name="Send answer").click()
        await expect(page.locator("#status .st small")).to_have_text("finished", timeout=60_000)
        await person.over()
        await page.get_by_role("link", name="Conversation").click()
        await expect(page.locator(".step", has_text="Question")).to_contain_text(EVIL)
        await expect(page.locator(".step", has_text="Answer")).to_contain_text("red")
        await expect(message).to_contain_text("never read")  # an agent of a rehearsal reads nothing
        await expect(page.get_by_text("Tell the agent something")).to_have_count(0)
        await person.picture("conversation-asked")


async def test_what_changes_is_told_politely(rehearsal: Up) -> None:
    ask = [{"text": "Red?", "default": "yes"}, {"text": "Blue?", "default": "no"}]
    variables = {"DUMMY_AGENT_ASK": json.dumps(ask), "DUMMY_PATCH": PATCH}
    async with owner_of(rehearsal) as owner, fresh_profile(rehearsal.url) as person:
        page = person.page
        await sign_in(person, rehearsal)
        body = {"prompt": "Paint it.", "environment": {"variables": variables}}
        task_id = await owner.submit(body, archive=zipped({"README.md": "one\n"}))
        await person.open(f"/tasks/{task_id}")
        box = page.get_by_role("region", name="Question")
        await expect(box).to_contain_text("Red?", timeout=60_000)
        await expect(page.get_by_text("This page follows the task.")).to_be_visible()
        await page.evaluate(KEEP_WHAT_IS_TOLD)
        (question,) = (await owner.get(f"/tasks/{task_id}"))["questions"]
        answer = {"question": question["id"], "answer": "yes"}
        await owner.client.post(f"/api/v1/tasks/{task_id}/answers", json=answer)
        await expect(box).to_contain_text("Blue?", timeout=60_000)
        await page.wait_for_function("document.getElementById('told').dataset.kept")
        assert await page.locator("#told").get_attribute("role") == "status"


async def test_a_zip_is_dropped_checked_and_sent_with_its_progress(
    rehearsal: Up, tmp_path: Path
) -> None:
    archive = zipped({"README.md": "one\n", "data.bin": random.Random(1).randbytes(4 << 20)})
    file = tmp_path / "code.zip"
    file.write_bytes(archive)
    async with fresh_profile(rehearsal.url) as person:
        page = person.page
        await sign_in(person, rehearsal)
        await person.open("/submit")
        await drop(page, "not.zip", b"no zip at all")
        await expect(page.locator("#src-zip")).to_be_checked()
        await expect(page.locator(".upload")).to_contain_text("not.zip")
        await page.get_by_role("button", name="Fix a bug").click()
        await expect(page.get_by_label("What should be done?")).to_have_value(re.compile("^What"))
        await page.get_by_role("button", name="Check without starting").click()
        await expect(page.locator("#zip-e")).to_be_visible()
        await expect(page.locator(".upload")).to_contain_text("not.zip")
        await expect(page.get_by_label("What should be done?")).to_have_value(re.compile("^What"))
        await page.locator("#zip").set_input_files(file)
        await page.get_by_role("button", name="Check without starting").click()
        good = page.get_by_text("Good. Nothing was started.")
        await expect(good).to_be_visible()
        await expect(page.locator(".note")).to_contain_text(sha256(archive).hexdigest())
        await expect(page.locator(".note")).to_contain_text("checks: ")
        await person.picture("submit-checked")
        await page.evaluate(KEEP_WHAT_IS_SAID)
        wire = await person.context.new_cdp_session(page)
        slow = {
            "offline": False,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": 4 << 20,
        }
        await wire.send("Network.emulateNetworkConditions", slow)
        await page.keyboard.press("Escape")
        await page.locator("#prompt").press("Control+Enter")
        await page.wait_for_url("**/tasks/task_*")
        said = await page.evaluate("sessionStorage.getItem('said')")
        assert re.search(r"Uploading: [\d.]+ MiB of 4\.\d MiB \(\d+ %\)", said)
        assert "Uploaded." in said


async def drop(page: Page, name: str, content: bytes) -> None:
    """Drop a file where files are dropped."""
    make = "([name, text]) => { const list = new DataTransfer(); list.items.add(new File([text], name)); return list; }"
    carried = await page.evaluate_handle(make, [name, content.decode()])
    await page.dispatch_event(".drop", "drop", {"dataTransfer": carried})


async def test_keys_and_environments_are_made_and_taken_back(rehearsal: Up) -> None:
    async with fresh_profile(rehearsal.url) as person:
        page = person.page
        await sign_in(person, rehearsal)
        await person.open("/keys")
        await page.get_by_label("Name").fill(EVIL)
        await page.get_by_label("Scope").select_option("read")
        assert await person.press("Make a key") == 200
        key = await page.locator("#new-key").inner_text()
        await person.picture("keys")
        async with httpx2.AsyncClient(
            base_url=rehearsal.url, timeout=60, trust_env=False
        ) as client:
            client.headers["Authorization"] = f"Bearer {key}"
            assert (await client.get("/api/v1/me")).json()["key"]["scope"] == "read"
            await person.open("/keys")
            assert key not in await page.content()
            assert await person.press(f"Revoke the key {EVIL}") == 200
            assert (await client.get("/api/v1/me")).status_code == 401
        await person.open("/environments")
        for status in (200, 409):
            await page.get_by_label("Name").fill("python")
            await page.get_by_label("Setup script").fill("pip install --user .\n")
            assert await person.press("Make an environment") == status
        await expect(page.get_by_label("Name")).to_have_value("python")
        await person.picture("environments")
        await person.open("/submit")
        await expect(page.locator("#environment option")).to_have_count(2)
        await person.open("/environments")
        assert await person.press("Delete the environment python") == 200
        await expect(page.get_by_role("heading", name="No environments yet")).to_be_visible()
        await person.open("/health")
        await expect(page.get_by_role("heading", name="Good")).to_be_visible()
        await person.picture("health")


async def test_the_form_remembers_the_last_source(rehearsal: Up) -> None:
    async with fresh_profile(rehearsal.url) as person:
        page = person.page
        await sign_in(person, rehearsal)
        await person.open("/submit")
        await page.get_by_label("Git URL", exact=True).fill("https://example.org/a.git")
        await page.get_by_label("Ref").fill("next")
        await page.get_by_label("What should be done?").fill("Mend it.")
        await page.locator("summary", has_text="Limits").click()
        await page.get_by_label("Cost limit").fill("much")
        await page.get_by_role("button", name="Start task").click()
        await expect(page.locator("#cost_usd-e")).to_be_visible()
        await person.open("/tasks")
        await person.open("/submit")
        await expect(page.get_by_label("Git URL", exact=True)).to_have_value(
            "https://example.org/a.git"
        )
        await expect(page.get_by_label("Ref")).to_have_value("next")
        await expect(page.get_by_label("What should be done?")).to_have_value("")


async def test_without_a_script_a_task_is_asked_for_watched_and_its_change_saved(
    rehearsal: Up, tmp_path: Path
) -> None:
    file = tmp_path / "code.zip"
    file.write_bytes(zipped({"README.md": "one\n"}))
    async with owner_of(rehearsal) as owner, fresh_profile(rehearsal.url, script=False) as reader:
        ask = [{"text": "Red or blue?", "options": ["red", "blue"], "default": "blue"}]
        variables = {"DUMMY_AGENT_ASK": json.dumps(ask), "DUMMY_PATCH": PATCH}
        body = {"name": "plain", "variables": variables}
        made = await owner.client.post("/api/v1/environments", json=body)
        page = reader.page
        await sign_in(reader, rehearsal)
        await reader.open("/submit")
        await page.locator("#src-zip").check()
        await page.locator("#zip").set_input_files(file)
        await page.get_by_label("What should be done?").fill("Add a line.")
        await page.locator("summary", has_text="Environment").click()
        await page.locator("#environment").select_option("plain")
        assert await reader.press("Start task") == 200
        await expect(page.get_by_role("region", name="Question")).to_be_visible(timeout=60_000)
        assert "This page stands still" in await page.content()
        await page.get_by_label("red").check()
        assert await reader.press("Send answer") == 200
        finished = page.locator("#status .st small")
        await expect(finished).to_have_text("finished", timeout=60_000)
        await page.get_by_role("link", name=re.compile("^Files")).click()
        async with page.expect_download() as download:
            await page.get_by_role("link", name="diff.patch", exact=True).click()
        saved = await (await download.value).path()
        assert "+two" in saved.read_text()
        environment = made.json()["id"]
        await owner.client.delete(f"/api/v1/environments/{environment}")
