"""Zips that are stored while they come in: nothing of one is there before it was looked through."""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.contract.servers import S3_KEY, S3_SECRET, S3_URL, adapters
from tests.support.api_service import Served, serving, zipped
from tests.support.distributed import eventually
from tests.support.s3 import on_s3, own_buckets

from codexsys_core.source import ZipSource

BOUNDARY = "b" * 20
TASK = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="task"\r\n\r\n{{"prompt": "x"}}\r\n'
FILE = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n'
END = f"--{BOUNDARY}--\r\n"
ZIP = zipped({"a.txt": secrets.token_hex(6 << 20)})


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with own_buckets() as suffix:
        yield suffix


@pytest.fixture(params=adapters("files", "s3", S3_URL, S3_KEY, S3_SECRET))
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Served]:
    settings = {}
    if request.param == "s3":
        settings = on_s3(request.getfixturevalue("bucket"))
    async with serving(tmp_path, max_upload_mb=16, max_source_mb=64, **settings) as running:
        yield running
        for name in await stored(running):
            await running.platform.objects.delete(name)


async def stored(served: Served) -> list[str]:
    return await served.platform.objects.names("codexsys-code/tmp_zips/")


def form(content: bytes, *, first: str = TASK, last: str = "", after: str = "") -> bytes:
    body = first.encode() + FILE.encode() + content + b"\r\n" + last.encode()
    return body + END.encode() + after.encode()


HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form(ZIP), id="as-usual"),
        pytest.param(form(ZIP, first="", last=TASK), id="the-zip-first"),
        pytest.param(form(ZIP, after="and more"), id="something-after-it"),
        pytest.param(form(ZIP)[:-2], id="without-the-last-line-end"),
    ],
)
async def test_a_large_zip_is_taken_however_its_form_is_laid_out(
    served: Served, body: bytes
) -> None:
    made = await served.client.post("/api/v1/tasks", content=body, headers=HEADERS)
    assert made.status_code == 202, made.text
    task = await served.platform.tasks.get(made.json()["id"], tenant_id=served.tenant_id)
    source = task.spec.source
    assert isinstance(source, ZipSource)
    assert (source.size, source.sha256) == (len(ZIP), hashlib.sha256(ZIP).hexdigest())
    assert source.object == f"codexsys-code/tmp_zips/{task.id}/code.zip"
    assert await stored(served) == [source.object]
    assert await served.platform.objects.get(source.object) == ZIP


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form(ZIP[: 1 << 20] + bytes(64) + ZIP[(1 << 20) + 64 :]), id="damaged"),
        pytest.param(form(ZIP[:-30]), id="cut-off"),
        pytest.param(form(ZIP, first=TASK.replace("prompt", "pormpt")), id="no-task"),
        pytest.param(form(ZIP, last=TASK.replace("task", "more")), id="an-odd-part"),
        pytest.param(form(ZIP, last=FILE), id="two-files"),
    ],
)
async def test_what_is_refused_leaves_nothing(served: Served, body: bytes) -> None:
    answer = await served.client.post("/api/v1/tasks", content=body, headers=HEADERS)
    assert answer.status_code in (400, 422), answer.text
    assert await stored(served) == []


async def test_what_breaks_off_leaves_nothing(served: Served) -> None:
    body, where = form(ZIP), urlsplit(str(served.client.base_url))
    head = {"Host": where.netloc, "Authorization": f"Bearer {served.key}", **HEADERS}
    head["Content-Length"] = str(len(body))
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    _, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(f"POST /api/v1/tasks HTTP/1.1\r\n{lines}\r\n".encode() + body[: len(body) - 100])
    await writer.drain()

    async def here(wanted: bool) -> bool | None:
        found = any((served.platform.settings.data_dir / "tmp").rglob("code.zip"))
        return True if found is wanted else None

    await eventually(partial(here, True), seconds=20, what="the API has some of it")
    writer.close()
    await eventually(partial(here, False), seconds=20, what="the API has heard of its end")
    assert await stored(served) == []
    listed = await served.client.get("/api/v1/tasks")
    assert json.loads(listed.text)["items"] == []
