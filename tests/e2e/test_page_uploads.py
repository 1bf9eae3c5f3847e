"""The form sends a large zip to the store directly, in real Chromium; else it goes through the API."""

import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Page, Request, expect
from tests.contract.servers import S3_URL, must_have
from tests.support.api_service import Served, free_port, serving
from tests.support.browser import Profile, fresh_profile
from tests.support.s3 import on_s3, own_buckets
from tests.support.users import zipped

pytestmark = pytest.mark.browser
ZIP = zipped({"data.bin": random.Random(1).randbytes(17 << 20)})


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with own_buckets() as suffix:
        yield suffix


async def filled(person: Profile, served: Served, tmp_path: Path) -> tuple[Page, list[Request]]:
    """Sign in, choose the zip, and note what is sent from now on."""
    page = person.page
    sent: list[Request] = []
    await person.open("/sign-in")
    await page.get_by_label("API key").fill(served.key)
    assert await person.press("Sign in") == 200
    await person.open("/submit")
    file = tmp_path / "code.zip"
    file.write_bytes(ZIP)
    await page.locator("#src-zip").check()
    await page.locator("#zip").set_input_files(file)
    await page.locator("#prompt").fill("Mend it.")

    def note(request: Request) -> None:
        sent.append(request)

    page.on("request", note)
    return page, sent


async def made(served: Served, page: Page) -> None:
    """Wait for the page of a task that has the zip."""
    await page.wait_for_url("**/tasks/task_*")
    task = (await served.client.get(f"/api/v1{urlsplit(page.url).path}")).json()
    assert task["source"]["zip"]["sha256"] == hashlib.sha256(ZIP).hexdigest()
    assert task["source"]["zip"]["filename"] == "code.zip"


def posts(sent: list[Request]) -> list[str]:
    return [request.url for request in sent if request.method == "POST"]


async def test_a_large_zip_goes_to_the_store_once(tmp_path: Path, bucket: str) -> None:
    store = must_have(S3_URL)
    async with (
        serving(tmp_path / "data", **on_s3(bucket)) as served,
        fresh_profile(served.url) as person,
    ):
        page, sent = await filled(person, served, tmp_path)
        await page.get_by_role("button", name="Check without starting").click()
        await expect(page.get_by_text("Good. Nothing was started.")).to_be_visible()
        await page.get_by_role("button", name=re.compile("^Start")).click()
        await made(served, page)
        to_store = [url for url in posts(sent) if url.startswith(store)]
        assert len(to_store) == 1, posts(sent)
        assert person.complaints == []
        policies = []
        for path in ("/submit", "/tasks"):
            answer = await person.page.goto(served.url + path)
            assert answer is not None
            policies.append((await answer.all_headers())["content-security-policy"])
        assert f"connect-src 'self' {store};" in policies[0]
        assert "connect-src 'self';" in policies[1]


async def test_where_the_store_cannot_be_reached_the_zip_goes_through_the_api(
    tmp_path: Path, bucket: str
) -> None:
    settings = on_s3(bucket) | {"store_public_url": f"http://127.0.0.1:{free_port()}"}
    async with (
        serving(tmp_path / "data", **settings) as served,
        fresh_profile(served.url) as person,
    ):
        page, _ = await filled(person, served, tmp_path)
        await page.get_by_role("button", name=re.compile("^Start")).click()
        await made(served, page)
        person.forgive("net::ERR_CONNECTION_REFUSED")
