"""What keeps pages safe: the names they answer under, their headers, and nothing in them that runs or comes from elsewhere."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from tests.support.access import FORMS, TABLE
from tests.support.api_service import Served, client_of, serving
from typing_extensions import override

from codexsys_api.auth import sign_in_link
from codexsys_core.principal import parse_key

pytestmark = pytest.mark.asyncio(loop_scope="module")
GIT = {"prompt": "<b onclick=x>Fix</b> it", "source": {"git": {"url": "https://example.org/a.git"}}}
TABS = ("diff", "log", "conversation", "checks", "files", "details", "share")
APART = ("POST /api/", "POST /objects/", "POST /sign-in")
"""Those that no session opens."""
LOCAL = "http://127.0.0.1"
LISTS = ("/tasks", "/tasks?q=x", "/submit", "/environments", "/keys", "/usage", "/health", "/docs")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    folder = tmp_path_factory.mktemp("safety")
    async with serving(folder, allowed_hosts=["code.example.com"]) as api:
        yield api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(served: Served) -> AsyncIterator[httpx2.AsyncClient]:
    """Somebody who is signed in."""
    async with signed_in(served) as client:
        yield client


@asynccontextmanager
async def signed_in(served: Served) -> AsyncIterator[httpx2.AsyncClient]:
    """Follow a sign-in link with a browser of its own."""
    parsed = parse_key(served.key)
    assert parsed is not None
    link = sign_in_link(served.platform, key_id=parsed[0], base_url=served.url)
    async with client_of(served.url) as client:
        assert (await client.get(link)).status_code == 303
        yield client


class Page(HTMLParser):
    """Notes what would run in a page or be loaded for it, and what is not its own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.odd: list[str] = []
        self._script = False
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._script = tag == "script"
        loaded = given.get("src") or (given.get("href") if tag in ("link", "base") else None)
        if loaded is not None and not re.match(r"/(?!/)|data:(image/|,$)", loaded):
            self.odd.append(f"{tag} of {loaded}")
        if tag in ("style", "iframe", "object", "embed", "base"):
            self.odd.append(tag)
        self.odd += [f"{tag} {name}" for name in given if name.startswith("on") or name == "style"]
        for name in ("href", "action", "formaction") if tag != "link" else ():
            if (given.get(name) or "").strip().lower().startswith(("javascript:", "data:")):
                self.odd.append(f"{tag} {name}")

    @override
    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.odd.append("a script in the page")


async def test_no_page_runs_loads_or_is_framed_by_anything_foreign(
    served: Served, browser: httpx2.AsyncClient
) -> None:
    task = (await served.client.post("/api/v1/tasks", json=GIT)).json()["id"]
    share = await served.client.post(
        f"/api/v1/tasks/{task}/shares", json={"parts": ["prompt", "logs"]}
    )
    shared = share.json()["url"].removeprefix(served.url)
    paths = [
        *LISTS,
        shared,
        "/nowhere",
        f"/tasks/{task}",
        *(f"/tasks/{task}?tab={tab}" for tab in TABS),
    ]
    async with client_of(served.url) as anybody:
        pages = [await anybody.get("/sign-in")]
        pages += [await browser.get(path, headers={"accept": "text/html"}) for path in paths]
    for page in pages:
        assert page.headers["content-type"].startswith("text/html"), page.url
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy, page.url
        assert "frame-ancestors 'none'" in policy, page.url
        assert "unsafe" not in policy
        assert page.headers["referrer-policy"] == "no-referrer", page.url
        assert page.headers["x-content-type-options"] == "nosniff"
        assert Page(page.text).odd == [], page.url


async def test_what_a_task_says_is_a_file_to_save_and_never_a_page(
    served: Served, browser: httpx2.AsyncClient
) -> None:
    task = (await served.client.post("/api/v1/tasks", json=GIT)).json()["id"]
    page = b"<script>alert(1)</script>\n"
    await served.platform.logs.append(task, "sbx_a", "agent", 1, page)
    share = await served.client.post(f"/api/v1/tasks/{task}/shares", json={"parts": ["logs"]})
    for path in (f"/tasks/{task}/log", f"{share.json()['url']}/log"):
        saved = await browser.get(path, headers={"accept": "text/html"})
        assert (saved.status_code, saved.content) == (200, page)
        assert saved.headers["content-disposition"].startswith("attachment;")
        assert saved.headers["content-type"].startswith("text/plain")
        assert saved.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in saved.headers["content-security-policy"]


async def test_a_form_from_anywhere_else_does_nothing(
    served: Served, browser: httpx2.AsyncClient
) -> None:
    task = (await served.client.post("/api/v1/tasks", json=GIT)).json()["id"]
    known = {"task_id": task, "share_id": "shr_" + "0" * 26, "key_id": "key_" + "0" * 26}
    known["environment_id"] = "env_" + "0" * 26
    async with signed_in(served) as other:
        page = await other.get("/submit")
    of_another = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert of_another is not None
    rows = [row for row in TABLE if row.startswith("POST /") and not row.startswith(APART)]
    assert len(rows) >= 12
    before = (await browser.get(f"/tasks/{task}")).text
    for row in rows:
        for csrf in ({}, {"csrf": ""}, {"csrf": "x.y"}, {"csrf": of_another[1]}):
            form = FORMS.get(row, {}) | {"task": task} | csrf
            answer = await browser.post(row.removeprefix("POST ").format(**known), data=form)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf"), (row, csrf)
    assert (await browser.get(f"/tasks/{task}")).text.count("Queued") == before.count("Queued")
    async with client_of(served.url) as stranger:
        for site in ("cross-site", "same-site"):
            headers = {"sec-fetch-site": site}
            answer = await stranger.post("/sign-in", data={"key": served.key}, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "csrf")
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("public_url", "secure"),
    [("https://code.example.com", True), ("http://code.example.com", False), ("", False)],
)
async def test_over_https_a_cookie_is_for_https_alone(
    tmp_path: Path, public_url: str, secure: bool
) -> None:
    async with serving(tmp_path, public_url=public_url) as served, client_of(LOCAL) as visitor:
        at = f"http://127.0.0.1:{served.platform.settings.api_port}"
        claimed = {"x-forwarded-proto": "https", "forwarded": "proto=https"}
        signed = await visitor.post(f"{at}/sign-in", data={"key": served.key}, headers=claimed)
        said = {part.strip().lower() for part in signed.headers["set-cookie"].split(";")[1:]}
        assert ("secure" in said) is secure
        assert {"httponly", "samesite=lax", "path=/"} <= said
        assert not any(each.startswith("domain") for each in said)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil",
        "evil@code.example.com",
        "127.0.0.1:80@evil",
        "",
    ],
)
async def test_a_name_that_somebody_let_lead_here_is_refused(
    served: Served, browser: httpx2.AsyncClient, host: str
) -> None:
    for path in ("/tasks", "/sign-in", "/api/v1/openapi.json", "/static/app.css", "/objects/x"):
        answer = await browser.get(path, headers={"host": host})
        assert (answer.status_code, answer.json()["code"]) == (421, "host_not_allowed"), path
    forged = {"host": host, "authorization": "Bearer x"}
    assert (await browser.get("/tasks", headers=forged)).status_code == 421
    sent = await browser.post("/sign-in", data={"key": served.key}, headers={"host": host})
    assert (sent.status_code, "set-cookie" in sent.headers) == (421, False)


async def test_own_names_addresses_probes_and_programs_are_answered(
    served: Served, browser: httpx2.AsyncClient
) -> None:
    for host in (
        "localhost:8080",
        "127.0.0.1",
        "[::1]:8080",
        "codexsys.localhost",
        "CODE.example.com.:443",
    ):
        assert (await browser.get("/sign-in", headers={"host": host})).status_code == 200, host
    elsewhere = {"host": "codexsys-api.platform.svc"}
    for path in ("/healthz", "/readyz", "/metrics"):
        assert (await browser.get(path, headers=elsewhere)).status_code == 200
    assert (await served.client.get("/api/v1/me", headers=elsewhere)).status_code == 200
