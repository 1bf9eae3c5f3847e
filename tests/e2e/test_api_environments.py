"""Environments over the API: kept by name, their secrets never shown again, copied into tasks."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url, text
from tests.support.api_service import Served, client_of, make_key, serving
from tests.support.authority import make_authority

from codexsys_adapters.sql.engine import Database
from codexsys_core.ids import TimeOrderedIds
from codexsys_wiring.platform import upgrade_database
from codexsys_wiring.settings import Settings

MYSQL_URL = os.environ.get("CODEXSYS_TEST_MYSQL_URL", "")
DATABASES = (
    ["sqlite", "mysql"] if MYSQL_URL or os.environ.get("CODEXSYS_REQUIRE") == "all" else ["sqlite"]
)
PATH = "/api/v1/environments"
SECRET = "a-very-secret-value"
WHOLE = {
    "name": "python",
    "setup": "pip install -r requirements.txt",
    "variables": {"LEVEL": "debug"},
    "setup_variables": {"TOKEN": SECRET},
    "network": {"setup": ["10.0.0.0/8:443"]},
    "services": [{"name": "db", "image": "postgres:17", "port": 5432}],
    "proxy": "http://proxy.example:3128",
    "mirrors": {"pip": "https://mirror.example/simple"},
    "checks": {"command": "pytest -q"},
}
TASK = {"prompt": "Fix it", "source": {"git": {"url": "https://example.org/a/b.git"}}}


@pytest.fixture(params=DATABASES)
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    if request.param == "sqlite":
        async with serving(tmp_path) as api:
            yield api
        return
    assert MYSQL_URL, "CODEXSYS_TEST_MYSQL_URL is not set"
    name = TimeOrderedIds().new("test")
    url = make_url(MYSQL_URL).set(database=name).render_as_string(hide_password=False)
    async with Database(MYSQL_URL, pool_size=1) as server:
        async with server.write() as connection:
            await connection.execute(text(f"CREATE DATABASE {name} CHARACTER SET utf8mb4"))
        try:
            await upgrade_database(Settings(data_dir=tmp_path, database_url=url))
            async with serving(tmp_path, database_url=url) as api:
                yield api
        finally:
            async with server.write() as connection:
                await connection.execute(text(f"DROP DATABASE {name}"))


async def made(served: Served, **changes: Any) -> dict[str, Any]:
    answer = await served.client.post(PATH, json=WHOLE | changes)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def rows(served: Served, table: str) -> str:
    """Return everything that a table holds."""
    async with served.platform.database.read() as connection:
        return str((await connection.execute(text(f"SELECT * FROM {table}"))).all())


async def test_it_is_made_and_shown_without_its_secrets(served: Served) -> None:
    answer = await served.client.post(PATH, json=WHOLE)
    assert answer.status_code == 201, answer.text
    environment = answer.json()
    assert answer.headers["location"] == f"{PATH}/{environment['id']}"
    assert environment["id"].startswith("env_")
    assert environment["setup_variables"] == ["TOKEN"]
    assert environment["variables"] == {"LEVEL": "debug"}
    assert environment["services"][0]["port"] == 5432
    shown = await served.client.get(f"{PATH}/{environment['id']}")
    assert shown.json() == environment
    listed = await served.client.get(PATH)
    assert listed.json() == {"items": [environment], "next_cursor": None}
    assert SECRET not in answer.text + shown.text + listed.text
    assert SECRET not in await rows(served, "environments")


async def test_a_certificate_is_kept(served: Served, tmp_path: Path) -> None:
    certificate, key = await asyncio.to_thread(make_authority, tmp_path / "ca")
    environment = await made(served, certificates=certificate.read_text())
    assert environment["certificates"] == certificate.read_text()
    both = certificate.read_text() + key.read_text()
    answer = await served.client.post(PATH, json=WHOLE | {"name": "b", "certificates": both})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/certificates")


async def test_another_tenant_finds_nothing(served: Served) -> None:
    environment = await made(served)
    _, key = await make_key(served.platform, "theirs")
    async with client_of(served.url, key) as stranger:
        assert (await stranger.get(PATH)).json()["items"] == []
        for method in ("GET", "PATCH", "DELETE"):
            answer = await stranger.request(method, f"{PATH}/{environment['id']}")
            assert (answer.status_code, answer.json()["code"]) == (404, "environment_not_found")
        answer = await stranger.post(
            "/api/v1/tasks", json=TASK | {"environment": environment["id"]}
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/environment"
        assert (await stranger.post(PATH, json=WHOLE)).status_code == 201  # the name is theirs, too
    assert (await served.client.get(f"{PATH}/{environment['id']}")).status_code == 200


@pytest.mark.parametrize("wanted", ["env_x", "task_" + "0" * 26, "é", "env_" + "0" * 26])
async def test_what_is_not_there_is_not_found(served: Served, wanted: str) -> None:
    for method in ("GET", "PATCH", "DELETE"):
        answer = await served.client.request(method, f"{PATH}/{wanted}")
        assert (answer.status_code, answer.json()["code"]) == (404, "environment_not_found")


async def test_pages_lead_on(served: Served) -> None:
    ids = [(await made(served, name=f"number {number}"))["id"] for number in range(5)]
    seen: list[str] = []
    address = f"{PATH}?limit=2"
    while address:
        answer = await served.client.get(address)
        seen += [each["id"] for each in answer.json()["items"]]
        link = answer.headers.get("link", "")
        address = link.partition(">")[0].removeprefix("<")
        assert bool(address) == (answer.json()["next_cursor"] is not None)
    assert seen == ids[::-1]
    named = await served.client.get(PATH, params={"name": "number 3"})
    assert [each["id"] for each in named.json()["items"]] == [ids[3]]
    wrong = await served.client.get(PATH, params={"cursor": "x"})
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/cursor")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": " x"}, "/name"),
        ({"name": "env_" + "0" * 26}, "/name"),
        ({"name": 5}, "/name"),
        ({"secret": "x"}, "/secret"),
        ({"setup_variables": {"CODEXSYS_KEY": "x"}}, "/setup_variables/CODEXSYS_KEY"),
        ({"setup_variables": {"A": 5}}, "/setup_variables/A"),
        ({"mirrors": {"pip": "https://me:pw@mirror.example"}}, "/mirrors/pip"),
        ({"proxy": "ftp://proxy"}, "/proxy"),
        ({"checks": {"commands": "x"}}, "/checks/commands"),
        ({"services": [{"name": "db"}]}, "/services/0/image"),
        ({"cache": "yes"}, "/cache"),
    ],
)
async def test_bad_bodies_are_refused_by_field(
    served: Served, change: dict[str, Any], pointer: str
) -> None:
    answer = await served.client.post(PATH, json=WHOLE | change)
    assert answer.status_code == 422, answer.text
    pointers = {error["pointer"] for error in answer.json()["errors"]}
    assert any(each.startswith(pointer) for each in pointers), pointers
    assert SECRET not in answer.text
    if "name" in change or "secret" in change:
        return
    body = {name: value for name, value in (WHOLE | change).items() if name != "name"}
    inline = await served.client.post("/api/v1/tasks", json=TASK | {"environment": body})
    assert inline.status_code == 422, inline.text
    pointers = {error["pointer"] for error in inline.json()["errors"]}
    assert any(each.startswith(f"/environment{pointer}") for each in pointers), pointers
    environment = await made(served)
    patched = await served.client.patch(f"{PATH}/{environment['id']}", json=change)
    assert patched.status_code == 422, patched.text
    assert (await served.client.get(f"{PATH}/{environment['id']}")).json() == environment


async def test_a_name_that_is_taken_is_a_conflict(served: Served) -> None:
    first, second = await made(served), await made(served, name="other")
    for answer in (
        await served.client.post(PATH, json=WHOLE),
        await served.client.patch(f"{PATH}/{second['id']}", json={"name": first["name"]}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "environment_exists")
        assert answer.json()["errors"][0]["pointer"] == "/name"


async def test_the_same_key_makes_one(served: Served) -> None:
    headers = {"Idempotency-Key": "once"}
    posts = [served.client.post(PATH, json=WHOLE, headers=headers) for _ in range(4)]
    answers = await asyncio.gather(*posts)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    for other in ({"name": "x"}, {"setup_variables": {"TOKEN": "another"}}):
        answer = await served.client.post(PATH, json=WHOLE | other, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_mismatch")
    task = await served.client.post("/api/v1/tasks", json=TASK, headers=headers)
    assert (task.status_code, task.json()["code"]) == (422, "idempotency_mismatch")


async def test_a_change_changes_what_it_names(served: Served) -> None:
    environment = await made(served)
    where = f"{PATH}/{environment['id']}"
    patch = {
        "variables": {"MORE": "1"},
        "setup_variables": {"SECOND": "another-secret"},
        "proxy": None,
        "cache": False,
    }
    headers = {"Content-Type": "application/merge-patch+json"}
    answer = await served.client.patch(where, content=json.dumps(patch), headers=headers)
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert changed["variables"] == {"LEVEL": "debug", "MORE": "1"}
    assert changed["setup_variables"] == ["SECOND", "TOKEN"]
    assert (changed["proxy"], changed["cache"]) == (None, False)
    assert changed["setup"] == environment["setup"]
    assert changed["updated_at"] > environment["updated_at"]
    rest = (await served.client.patch(where, json={"setup_variables": {"TOKEN": None}})).json()
    assert rest["setup_variables"] == ["SECOND"]
    none = (await served.client.patch(where, json={"setup_variables": None})).json()
    assert none["setup_variables"] == []
    assert (await served.client.get(where)).json() == none
    bodies: list[Any] = [{"name": None}, {"nothing": None}, []]
    for bad in bodies:
        assert (await served.client.patch(where, json=bad)).status_code == 422


async def test_changes_at_once_are_all_kept(served: Served) -> None:
    where = f"{PATH}/{(await made(served))['id']}"
    patches = [served.client.patch(where, json={"variables": {f"V{n}": "1"}}) for n in range(3)]
    assert {answer.status_code for answer in await asyncio.gather(*patches)} == {200}
    found = (await served.client.get(where)).json()
    assert set(found["variables"]) == {"LEVEL", "V0", "V1", "V2"}


async def test_what_is_deleted_is_gone(served: Served) -> None:
    where = f"{PATH}/{(await made(served))['id']}"
    assert (await served.client.delete(where)).status_code == 204
    assert (await served.client.get(where)).status_code == 404
    assert (await served.client.delete(where)).status_code == 404


async def test_a_task_takes_a_copy(served: Served) -> None:
    environment = await made(served)
    task = await served.client.post("/api/v1/tasks", json=TASK | {"environment": environment["id"]})
    assert task.status_code == 202, task.text
    assert task.json()["checks"]["command"] == "pytest -q"
    where = f"{PATH}/{environment['id']}"
    await served.client.patch(where, json={"setup": "other", "setup_variables": {"TOKEN": "new"}})
    await served.client.delete(where)
    platform, task_id = served.platform, task.json()["id"]
    kept = (await platform.tasks.get(task_id, tenant_id=served.tenant_id)).spec.environment
    assert kept.setup == WHOLE["setup"]
    assert kept.opened(platform.secrets, row=task_id) == {"TOKEN": SECRET}


async def test_a_tasks_own_checks_go_before(served: Served) -> None:
    environment = await made(served)
    body = TASK | {"environment": environment["id"], "checks": {"command": "make"}}
    task = (await served.client.post("/api/v1/tasks", json=body)).json()
    assert task["checks"]["command"] == "make"


async def test_secrets_of_a_task_are_nowhere_in_clear(served: Served) -> None:
    environment = {"setup": "true", "setup_variables": {"TOKEN": SECRET}}
    headers = {"Idempotency-Key": "once"}
    answer = await served.client.post(
        "/api/v1/tasks", json=TASK | {"environment": environment}, headers=headers
    )
    assert answer.status_code == 202, answer.text
    task_id = answer.json()["id"]
    paths = [f"/api/v1/tasks/{task_id}{rest}" for rest in ("", "/events?after=0", "/attempts")]
    texts = [answer.text, *[(await served.client.get(path)).text for path in paths]]
    texts += [await rows(served, "tasks"), await rows(served, "idempotency_keys")]
    assert not any(SECRET in each for each in texts)


async def test_a_retry_can_open_the_secrets(served: Served) -> None:
    environment = {"setup": "true", "setup_variables": {"TOKEN": SECRET}}
    task = (
        await served.client.post("/api/v1/tasks", json=TASK | {"environment": environment})
    ).json()
    await served.client.post(f"/api/v1/tasks/{task['id']}/cancel")
    answer = await served.client.post(f"/api/v1/tasks/{task['id']}/retry")
    assert answer.status_code == 202, answer.text
    again = await served.platform.tasks.get(answer.json()["id"], tenant_id=served.tenant_id)
    found = again.spec.environment.opened(served.platform.secrets, row=again.id)
    assert found == {"TOKEN": SECRET}


@pytest.mark.parametrize("given", ["python", "env_x", "", "env_" + "0" * 26, 5, None, []])
async def test_an_environment_that_is_none_is_refused(served: Served, given: Any) -> None:
    answer = await served.client.post("/api/v1/tasks", json=TASK | {"environment": given})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/environment"


async def test_the_description_knows_environments(served: Served) -> None:
    found = (await served.client.get("/api/v1/openapi.json")).json()
    assert set(found["paths"][PATH]) == {"get", "post"}
    assert set(found["paths"][PATH + "/{environment_id}"]) == {"get", "patch", "delete"}
    secret = found["components"]["schemas"]["CreateEnvironment"]["properties"]["setup_variables"]
    assert secret["additionalProperties"]["writeOnly"] is True
