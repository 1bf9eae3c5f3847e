"""Every address with every verb, asked by everybody: the table says who is answered what."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
import pytest_asyncio
from starlette.routing import Route
from tests.support.access import BODIES, FORMS, TABLE, Cell
from tests.support.api_service import Served, client_of, make_key, serving

from codexsys_api.app import ROUTERS
from codexsys_api.auth import COOKIE, Sessions, principal_of_key

GIT = {"prompt": "x", "source": {"git": {"url": "https://example.org/a.git"}}}


@dataclass(frozen=True)
class Callers:
    """Keys of ours, of another tenant, and of ours that may only look; the session of each."""

    served: Served
    anyone: httpx2.AsyncClient
    keys: dict[str, str]
    cookies: dict[str, str]

    @property
    def sessions(self) -> Sessions:
        sessions: Sessions = self.served.api.app.state.sessions
        return sessions


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def callers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Callers]:
    async with serving(tmp_path_factory.mktemp("access")) as served, client_of(served.url) as none:
        low = await served.client.post("/api/v1/keys", json={"name": "low", "scope": "read"})
        _, other = await make_key(served.platform, "others")
        keys = {"ours": served.key, "other": other, "low": low.json()["key"]}
        sessions: Sessions = served.api.app.state.sessions
        cookies = {
            who: sessions.cookie(await principal_of_key(served.platform, key))
            for who, key in keys.items()
        }
        yield Callers(served, none, keys, cookies)


async def things(served: Served) -> dict[str, str]:
    """Make one of everything that an address can name; all of it is ours."""

    async def made(path: str, body: Any) -> dict[str, Any]:
        answer = await served.client.post(f"/api/v1{path}", json=body)
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found

    task_id = (await made("/tasks", GIT))["id"]
    await made(f"/tasks/{task_id}/cancel", {})
    share = await made(f"/tasks/{task_id}/shares", {})
    name = served.platform.ids.new("name")
    return {
        "task_id": task_id,
        "share_id": share["id"],
        "share": share["url"].rpartition("/")[2],
        "key_id": (await made("/keys", {"name": name}))["id"],
        "environment_id": (await made("/environments", {"name": name}))["id"],
        "upload_id": (await made("/uploads", {}))["upload_id"],
        "name": "diff.patch",
        "rest": "x",
    }


async def asked(callers: Callers, row: str, known: dict[str, str], who: str) -> Cell:
    """Return what somebody is answered: a problem's code, else the status."""
    verb, _, template = row.partition(" ")
    token = known["share"] if template.startswith("/s/") else "nonsense"
    path = template.replace("{rest:path}", "{rest}").format(**known, token=token)
    secret = callers.keys.get(who) or {
        "false": "cdx_nonsense",
        "share": known.get("share", "0Zr1"),
    }.get(who)
    cookie = callers.cookies.get(who) or secret or ""
    request: dict[str, Any] = {"headers": {}}
    if secret and template.startswith("/api/"):
        request["headers"]["authorization"] = f"Bearer {secret}"
    elif secret:
        request["headers"]["cookie"] = f"{COOKIE}={cookie}"
    if row in BODIES:
        request["json"] = BODIES[row]
    elif verb == "POST" and not template.startswith("/api/"):
        form = {
            "csrf": callers.sessions.csrf(cookie),
            "task": known.get("task_id", ""),
        } | FORMS.get(row, {})
        request["content"] = urlencode(form)
        request["headers"]["content-type"] = "application/x-www-form-urlencoded"
    answer = await callers.anyone.request(verb, path, **request)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    problem = answer.headers["content-type"] == "application/problem+json" if answer.content else 0
    return str(answer.json()["code"]) if problem else answer.status_code


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    routes = [route for router in ROUTERS for route in router.routes]
    there = {
        f"{method} {route.path}"
        for route in routes
        if isinstance(route, Route)
        for method in route.methods or ()
    }
    assert all(isinstance(route, Route) for route in routes)
    assert there - set(TABLE) == set(), "add a row to tests/support/access.py"
    assert set(TABLE) - there == set()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", TABLE)
async def test_everybody_is_answered_as_the_table_says(callers: Callers, row: str) -> None:
    known = await things(callers.served) if "{" in row else {}
    wanted = TABLE[row]
    expected = {
        "none": wanted.without,
        "false": wanted.false,
        "share": wanted.false,
        "other": wanted.other,
        "low": wanted.low,
        "ours": wanted.ours,
    }
    found = {who: await asked(callers, row, known, who) for who in expected}
    assert found == expected
