"""What a task left behind, read in Chromium: a large change, a long log, hostile names and colours."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from playwright.async_api import expect
from tests.support.browser import Profile, fresh_profile
from tests.support.seats import owner_of, sign_in
from tests.support.up_process import Up, running_up
from tests.support.users import zipped

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]
SETTINGS = {"CODEXSYS_SANDBOX": "local"}
LINES = 100_000
BEFORE = '''"""Fetches."""
RETRYABLE = {429, 503}


def get(url: str, attempts: int = 4) -> bytes:
    """GET a page."""
    return client.get(url)
'''
AFTER = BEFORE.replace("attempts: int = 4", "attempts: int = 5")
FILES = {
    "src/fetch.py": BEFORE,
    "run.sh": "#!/bin/sh\n",
    "gone.txt": "bye\n",
    "old.md": "It is moved.\n",
}
EVIL = "<img src=x onerror=alert(1)>"
GROWING = """
seq 1 300; echo '== half way'; seq 301 400
while :; do date +tick-%N; sleep 0.2; done
"""
AT_END = """() => {
  const box = document.querySelector("[data-log] .log");
  return box.scrollTop + box.clientHeight >= box.scrollHeight - 40;
}"""
LONGER = "(count) => document.querySelector('[data-log]').log.lines.length > count"
PLACE = "[document.querySelector('[data-log] .log').scrollTop, document.querySelector('[data-log]').log.lines.length]"
SCRIPT = f"""
printf '\\033[1;31mFAILED\\033[0m \\033]0;title\\007{EVIL} \\342\\200\\256rtl\\n'
cat > src/fetch.py <<'END'
{AFTER}END
printf 'a\\0b' > picture.bin; chmod +x run.sh; rm gone.txt; mv old.md src/new.md
printf '%s\\n' '{EVIL}' > '<b>bold.js'
seq 1 {LINES} > rows.json
yes 'fetched one more page of the almanac' | head -n 60000
echo the end of the log
"""


@dataclass(frozen=True)
class Seen:
    """One task that is over, and a browser that is signed in."""

    person: Profile
    task_id: str

    @property
    def path(self) -> str:
        return f"/tasks/{self.task_id}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Up]:
    async with running_up(tmp_path_factory.mktemp("up"), SETTINGS) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def task_id(up: Up) -> str:
    async with owner_of(up) as user:
        body = {"prompt": f"Try {EVIL}", "engine": "command", "command": SCRIPT}
        made = await user.submit(body | {"checks": {"strategy": "skip"}}, archive=zipped(FILES))
        task = await user.finished(made, seconds=120)
    assert task["diff"]["insertions"] > LINES, task["end_reason"]
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seen(up: Up, task_id: str) -> AsyncIterator[Seen]:
    async with fresh_profile(up.url) as person:
        await sign_in(person, up)
        yield Seen(person, task_id)


async def test_a_change_of_100_000_lines_is_read_where_one_looks(seen: Seen) -> None:
    page = seen.person.page
    await seen.person.open(f"{seen.path}?tab=diff")
    rows = page.locator("tr[id]")
    assert await rows.count() < 100
    large = page.locator(".file", has=page.locator(".path", has_text=re.compile("^rows.json$")))
    await expect(large).not_to_have_attribute("open", "")
    await page.locator(".tree a", has_text="rows.json").click()
    await expect(large.locator("td.add", has_text=re.compile("^1$")).last).to_be_visible()
    number = (await large.get_attribute("id") or "").removeprefix("f")
    await seen.person.open("/tasks")
    await seen.person.open(f"{seen.path}?tab=diff#f{number}R70000")
    line = page.locator(f"#f{number}R70000")
    await expect(line).to_be_in_viewport()
    await expect(line.locator("td").last).to_have_text("70000")
    for _ in range(30):
        await page.mouse.wheel(0, 20_000)
    await expect(page.locator(".file .path").last).to_be_in_viewport()
    await expect(page.locator(".chunk[data-there=loading]")).to_have_count(0)
    assert await rows.count() < 20_000


async def test_the_change_in_two_columns_and_in_one_by_keys(seen: Seen) -> None:
    page = seen.person.page
    await seen.person.open(f"{seen.path}?tab=diff")
    await page.keyboard.press("s")
    await expect(page.locator(".diff.split del")).to_have_text(["4"])
    await expect(page.locator(".diff.split ins")).to_have_text(["5"])
    await expect(page.locator(".diff.split .k", has_text="return").first).to_be_visible()
    await page.wait_for_load_state()
    await seen.person.picture("diff-split")
    await page.keyboard.press("u")
    await expect(page.locator(".diff:not(.split) del")).to_have_text(["4"])
    await page.wait_for_load_state()  # before its scripts nobody hears a key or a click
    for said in ("Binary content, not shown.", "100644 → 100755", "deleted", "old.md → src/new.md"):
        await expect(page.get_by_text(said).first).to_be_visible()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.locator("summary", has_text="Apply").click()
    await page.get_by_role("button", name="Copy the command").click()
    copied = await page.evaluate("navigator.clipboard.readText()")
    assert copied == f"codexsys diff {seen.task_id} | git apply --index"
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keys")).to_contain_text("Next hunk")


async def test_what_is_hostile_is_shown_as_what_it_is(seen: Seen) -> None:
    page = seen.person.page
    await seen.person.open(f"{seen.path}?tab=diff")
    await expect(page.locator(".file .path", has_text="<b>bold.js")).to_be_visible()
    await expect(page.locator("td.add", has_text=EVIL).first).to_be_visible()
    assert await page.locator("img").count() == 0


async def test_a_long_log_is_searched_and_its_lines_have_addresses(seen: Seen) -> None:
    page = seen.person.page
    await seen.person.open(f"{seen.path}?tab=log")
    first = page.locator("#L2")
    await expect(first).to_have_text(f"2FAILED {EVIL} [U+202E]rtl")
    await expect(first.locator(".a-b.a-red")).to_have_text("FAILED")
    assert await page.locator("img").count() == 0
    await page.get_by_label("Search the log").fill("END OF the log")
    await expect(page.locator("[data-hits]")).to_have_text("1 of 1")
    await expect(page.locator(".log mark")).to_have_text("end of the log")
    last = page.locator(".log li", has=page.locator("mark"))
    await expect(last).to_be_in_viewport()
    await last.locator("b").click()
    number = (await last.get_attribute("id") or "").removeprefix("L")
    assert int(number) > 60_000
    assert seen.person.path.endswith(f"#L{number}")
    assert await page.locator(".log li").count() < 2000
    await seen.person.open("/tasks")
    await seen.person.open(f"{seen.path}?tab=log#L40000")
    await expect(page.locator("#L40000.here")).to_be_in_viewport()
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.keyboard.press("y")
    await expect(page.locator("#L40000[data-done]")).to_be_visible()
    assert await page.evaluate("navigator.clipboard.readText()") == page.url
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Raw").click()
    file = await (await download.value).path()
    assert file.read_bytes().rstrip().endswith(b"the end of the log\ncodexsys agent: done")


async def test_a_growing_log_is_followed_until_one_looks_back(up: Up, seen: Seen) -> None:
    page = seen.person.page
    async with owner_of(up) as owner:
        body = {"prompt": "Count.", "engine": "command", "command": GROWING}
        task_id = await owner.submit(body, archive=zipped(FILES))
        await seen.person.open(f"/tasks/{task_id}?tab=log&stream=agent")
        last, follow = page.locator(".log li").last, page.get_by_label("Follow")
        await expect(last).to_contain_text("tick-", timeout=60_000)
        await expect(follow).to_be_checked()
        said = await last.inner_text()
        await expect(last).not_to_have_text(said)
        await page.wait_for_function(AT_END)
        await page.get_by_label("Jump to").select_option("half way")
        await expect(page.locator(".log li", has_text="== half way")).to_be_in_viewport()
        await expect(follow).not_to_be_checked()
        place, count = await page.evaluate(PLACE)
        await page.wait_for_function(LONGER, arg=count)
        await expect(page.locator("[data-new]")).to_have_text(re.compile(r"^\+\d+$"))
        assert (await page.evaluate(PLACE))[0] == place
        await page.get_by_role("group", name="Lines of the log").focus()
        await page.keyboard.press("f")
        await expect(follow).to_be_checked()
        await expect(page.locator("[data-new]")).to_be_empty()
        await page.wait_for_function(AT_END)
        await owner.client.post(f"/api/v1/tasks/{task_id}/cancel")
        await expect(page.locator("#status h2")).to_have_text("Cancelled", timeout=60_000)
        await seen.person.over()


async def test_without_a_script_every_line_has_an_address(up: Up, task_id: str) -> None:
    async with fresh_profile(up.url, script=False) as reader:
        await sign_in(reader, up)
        await reader.open(f"/tasks/{task_id}?tab=diff")
        page = reader.page
        await page.locator(".file summary", has_text="rows.json").click()
        await page.get_by_role("link", name=re.compile("^Lines 4[0-9],")).first.click()
        await expect(page.locator(".chunk:target td.add").first).to_be_in_viewport()
        assert await page.locator("tr[id]").count() > 1000
        await expect(
            page.get_by_role("button", name="Change between light and dark")
        ).to_be_hidden()
