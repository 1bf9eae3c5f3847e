"""Zips that are sent to the store directly: in the folder store and on a real server."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.contract.servers import S3_KEY, S3_SECRET, S3_URL, adapters, must_have
from tests.support.api_service import (
    Served,
    client_of,
    free_port,
    make_key,
    multipart,
    serving,
    zipped,
)
from tests.support.clients import opened
from tests.support.fault_proxy import FaultProxy, Weather
from tests.support.s3 import on_s3, own_buckets

from codexsys_client import ApiError, StoreAway
from codexsys_core.source import ZipSource

STORES = adapters("files", "s3", S3_URL, S3_KEY, S3_SECRET)
ZIP = zipped({"a.txt": "one\n"})
AT = "/source/zip/upload_id"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with own_buckets() as suffix:
        yield suffix


@pytest.fixture(params=STORES)
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    settings = {}
    if request.param == "s3":
        settings = on_s3(request.getfixturevalue("bucket"))
    async with serving(tmp_path, max_upload_mb=1, max_source_mb=64, **settings) as running:
        yield running
        for prefix in ("uploads", "tmp_zips"):
            for name in await objects(running, prefix):
                await running.platform.objects.delete(name)


async def asked(served: Served, key: str | None = None, **body: Any) -> dict[str, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await served.client.post("/api/v1/uploads", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def send(upload: dict[str, Any], content: bytes, **changed: str) -> httpx2.Response:
    """Send a zip as a browser does: nobody's key is needed, and none is given."""
    async with client_of(upload["url"]) as client:
        files = {"file": ("code.zip", content, "application/zip")}
        fields = upload["fields"] | changed
        return await client.post(upload["url"], data=fields, files=files)


async def sent(served: Served, content: bytes = ZIP, **body: Any) -> str:
    upload = await asked(served, **body)
    assert (await send(upload, content)).status_code == 204
    return str(upload["upload_id"])


def task_of(upload_id: str) -> dict[str, Any]:
    return {"prompt": "Mend it.", "source": {"zip": {"upload_id": upload_id}}}


async def submit(served: Served, upload_id: str, key: str | None = None) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await served.client.post("/api/v1/tasks", json=task_of(upload_id), headers=headers)


def refused(answer: httpx2.Response) -> tuple[int, str, str]:
    problem = answer.json()
    return answer.status_code, problem["code"], problem["errors"][0]["pointer"]


async def objects(served: Served, prefix: str) -> list[str]:
    return await served.platform.objects.names(f"codexsys-code/{prefix}/")


async def test_what_was_sent_becomes_one_task(served: Served) -> None:
    upload_id = await sent(served, filename="C:\\code\\gr\x00öße\u202e.zip")
    looked = await served.client.post("/api/v1/tasks?check=true", json=task_of(upload_id))
    found = {"sha256": hashlib.sha256(ZIP).hexdigest(), "size": len(ZIP)}
    assert (looked.json()["ok"], looked.json()["source"]) == (True, found)
    made = await submit(served, upload_id, key="once")
    assert made.status_code == 202, made.text
    assert made.json()["source"] == {"zip": {"filename": "größe.zip", **found}}
    stored = await served.platform.tasks.get(made.json()["id"], tenant_id=served.tenant_id)
    assert isinstance(stored.spec.source, ZipSource)
    assert await served.platform.objects.get(stored.spec.source.object) == ZIP
    assert await objects(served, "uploads") == []
    assert refused(await submit(served, upload_id)) == (422, "upload_used", AT)
    again = await submit(served, upload_id, key="once")
    assert (again.status_code, again.json()["id"]) == (202, made.json()["id"])
    assert await objects(served, "tmp_zips") == [stored.spec.source.object]


async def test_a_form_takes_its_own_object_within_its_size(served: Served) -> None:
    upload, other = await asked(served), await asked(served)
    assert upload["max_bytes"] == 1 << 20
    changed = {name: value for name, value in other["fields"].items() if name == "key"}
    if changed:
        assert (await send(upload, ZIP, **changed)).status_code == 403
    assert (await send(upload, bytes((1 << 20) + 1))).status_code in (400, 413)
    assert (await send(upload, b"")).status_code in (400, 422)
    assert await objects(served, "uploads") == []
    assert refused(await submit(served, upload["upload_id"])) == (422, "upload_missing", AT)
    assert (await send(upload, ZIP)).status_code == 204
    assert (await submit(served, upload["upload_id"])).status_code == 202


async def test_another_tenants_upload_is_not_there(served: Served) -> None:
    upload_id = await sent(served)
    _, key = await make_key(served.platform, "others")
    async with client_of(served.url, key) as stranger:
        for check in ("", "?check=true"):
            answer = await stranger.post(f"/api/v1/tasks{check}", json=task_of(upload_id))
            assert refused(answer) == (422, "upload_not_found", AT)
    assert refused(await submit(served, "upl_" + "0" * 26)) == (422, "upload_not_found", AT)
    assert refused(await submit(served, "../" * 20)) == (422, "upload_not_found", AT)
    assert (await submit(served, upload_id)).status_code == 202


async def test_what_is_sent_later_changes_nothing(served: Served) -> None:
    upload = await asked(served)
    await send(upload, ZIP)
    made = (await submit(served, upload["upload_id"])).json()
    assert (await send(upload, zipped({"evil.txt": "x"}))).status_code == 204
    stored = await served.platform.tasks.get(made["id"], tenant_id=served.tenant_id)
    assert isinstance(stored.spec.source, ZipSource)
    assert await served.platform.objects.get(stored.spec.source.object) == ZIP
    assert refused(await submit(served, upload["upload_id"])) == (422, "upload_used", AT)


@pytest.mark.parametrize(
    "content",
    [b"no zip", zipped({".git/config": "x"}), zipped({"bomb": "0" * (65 << 20)})],
    ids=["no zip", "git folder", "bomb"],
)
async def test_what_is_refused_leaves_the_upload_as_it_was(served: Served, content: bytes) -> None:
    upload = await asked(served)
    await send(upload, content)
    for check in ("", "?check=true"):
        body = task_of(upload["upload_id"])
        answer = await served.client.post(f"/api/v1/tasks{check}", json=body)
        assert refused(answer) == (422, "zip_refused", AT)
    assert await objects(served, "tmp_zips") == []
    await send(upload, ZIP)
    assert (await submit(served, upload["upload_id"])).status_code == 202


async def test_an_upload_that_is_given_up_is_gone_with_its_zip(served: Served) -> None:
    upload_id = await sent(served)
    path = f"/api/v1/uploads/{upload_id}"
    _, key = await make_key(served.platform, "others")
    async with client_of(served.url, key) as stranger:
        assert (await stranger.delete(path)).status_code == 404
    assert len(await objects(served, "uploads")) == 1
    assert (await served.client.delete(path)).status_code == 204
    assert await objects(served, "uploads") == []
    again = await served.client.delete(path)
    assert (again.status_code, again.json()["code"]) == (404, "upload_not_found")
    assert refused(await submit(served, upload_id)) == (422, "upload_not_found", AT)
    used = await sent(served)
    made = (await submit(served, used)).json()
    late = await served.client.delete(f"/api/v1/uploads/{used}")
    assert (late.status_code, late.json()["code"]) == (409, "upload_used")
    assert made["id"] in late.json()["detail"]
    assert await objects(served, "uploads") == []


async def test_a_zip_that_is_refused_takes_no_place_of_another(served: Served) -> None:
    upload = await asked(served)
    await send(upload, b"no zip")
    for _ in range(99):
        await asked(served)
    full = await served.client.post("/api/v1/uploads", json={})
    assert (full.status_code, full.json()["code"]) == (429, "uploads_full")
    assert (await submit(served, upload["upload_id"])).json()["code"] == "zip_refused"
    await asked(served)
    await send(upload, ZIP)
    assert (await submit(served, upload["upload_id"])).status_code == 202


async def test_two_submits_of_one_upload_make_one_task(served: Served) -> None:
    upload_id = await sent(served)
    answers = await asyncio.gather(*(submit(served, upload_id) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [202, 422, 422, 422]
    codes = {answer.json()["code"] for answer in answers if answer.status_code == 422}
    assert codes == {"upload_used"}
    assert len((await served.client.get("/api/v1/tasks")).json()["items"]) == 1
    assert len(await objects(served, "tmp_zips")) == 1


async def test_two_submits_with_one_key_get_one_answer(served: Served) -> None:
    upload_id = await sent(served)
    answers = await asyncio.gather(*(submit(served, upload_id, "same") for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await objects(served, "tmp_zips")) == 1


async def test_an_upload_is_asked_for_once_with_one_key(served: Served) -> None:
    first, again = await asked(served, key="k"), await asked(served, key="k")
    assert first["upload_id"] == again["upload_id"]
    assert first["expires_at"] == again["expires_at"]
    headers = {"Idempotency-Key": "k"}
    other = await served.client.post("/api/v1/uploads", json={"filename": "b"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")


async def through(served: Served, content: bytes) -> httpx2.Response:
    """Send a zip through the API, which looks through it while it stores it."""
    return await served.client.post("/api/v1/tasks", files=multipart('{"prompt": "x"}', content))


async def test_what_came_through_the_api_is_stored_as_it_was_sent(served: Served) -> None:
    content = zipped({"a.bin": secrets.token_hex(400_000)})
    made = await through(served, content)
    assert made.status_code == 202, made.text
    (name,) = await objects(served, "tmp_zips")
    assert name == f"codexsys-code/tmp_zips/{made.json()['id']}/code.zip"
    assert await served.platform.objects.get(name) == content
    digest = hashlib.sha256(content).hexdigest()
    shown = {"filename": "a.zip", "size": len(content), "sha256": digest}
    assert made.json()["source"] == {"zip": shown}


@pytest.mark.parametrize(
    "content",
    [b"no zip" * 100_000, zipped({"a.bin": secrets.token_hex(400_000), ".git/config": "x"})],
    ids=["no zip", "git folder"],
)
async def test_what_is_refused_is_not_in_the_store(served: Served, content: bytes) -> None:
    answer = await through(served, content)
    assert refused(answer) == (422, "zip_refused", "/file")
    assert await objects(served, "") == []
    assert (await served.client.get("/api/v1/tasks")).json()["items"] == []


@pytest.mark.stack
async def test_a_store_that_is_away_hides_no_refusal(tmp_path: Path, bucket: str) -> None:
    url = urlsplit(must_have(S3_URL))
    async with (
        FaultProxy(str(url.hostname), url.port or 0) as proxy,
        serving(tmp_path, **on_s3(bucket, proxy.port)) as served,
    ):
        proxy.turn(Weather.CUT)
        assert refused(await through(served, b"no zip")) == (422, "zip_refused", "/file")
        away = await through(served, ZIP)
        assert (away.status_code, away.json()["code"]) == (503, "store_unavailable")
        proxy.turn(Weather.CLEAR)
        assert (await through(served, ZIP)).status_code == 202
        assert not list((tmp_path / "tmp").glob("*/upload-*"))


@pytest.mark.stack
async def test_a_store_that_is_away_loses_nothing(tmp_path: Path, bucket: str) -> None:
    url = urlsplit(must_have(S3_URL))
    async with (
        FaultProxy(str(url.hostname), url.port or 0) as proxy,
        serving(tmp_path, **on_s3(bucket, proxy.port)) as served,
    ):
        upload_id = await sent(served)  # straight to the store: only the API's way is cut
        proxy.turn(Weather.CUT)
        away = await submit(served, upload_id, "k")
        assert (away.status_code, away.json()["code"]) == (503, "store_unavailable")
        assert "retry-after" in away.headers
        proxy.turn(Weather.CLEAR)
        made = await submit(served, upload_id, "k")
        assert made.status_code == 202, made.text


def wish(name: str) -> dict[str, Any]:
    return {"prompt": name}


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_client_sends_a_large_zip_to_the_store(
    served: Served, tmp_path: Path, kind: str
) -> None:
    file, seen = tmp_path / "code.zip", []
    file.write_bytes(zipped({"a.bin": secrets.token_hex(300_000)}))

    def told(sent: int, total: int) -> None:
        seen.append((sent, total))

    async with opened(kind, served.url, served.key) as client:
        options = {"file": file, "idempotency_key": kind, "direct_bytes": 1000, "progress": told}
        task = await client.submit(wish("x"), **options)
        assert (await client.submit(wish("x"), **options))["id"] == task["id"]
        assert task["source"]["zip"]["filename"] == "code.zip"
        size = file.stat().st_size
        assert len(seen) > 4
        assert {total for _, total in seen} == {size}
        assert max(seen)[0] == size
        file.write_bytes(zipped({"a.bin": "another"}) + bytes(1000))
        with pytest.raises(ApiError) as caught:
            await client.submit(wish("x"), **options)
        assert caught.value.code == "idempotency_mismatch"
        file.write_bytes(bytes((1 << 20) + 1))
        with pytest.raises(ApiError) as caught:
            await client.upload(file)
        assert caught.value.code == "too_large"


@pytest.mark.stack
@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_client_that_cannot_reach_the_store_sends_through_the_api(
    tmp_path: Path, bucket: str, kind: str
) -> None:
    file = tmp_path / "code.zip"
    file.write_bytes(ZIP)
    settings = on_s3(bucket) | {"store_public_url": f"http://127.0.0.1:{free_port()}"}
    async with (
        serving(tmp_path / "data", **settings) as served,
        opened(kind, served.url, served.key) as client,
    ):
        task = await client.submit(wish("x"), file=file, direct_bytes=1)
        assert task["source"]["zip"]["sha256"] == hashlib.sha256(ZIP).hexdigest()
        with pytest.raises(StoreAway):
            await client.upload(file)
