"""`ObjectStore` over files and S3."""

import asyncio
import hashlib
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from tests.contract.servers import S3_KEY, S3_SECRET, S3_URL, must_have
from tests.contract.stores.conftest import Objects
from tests.support.fault_proxy import FaultProxy, Weather

from codexsys_adapters.files import FileObjects
from codexsys_adapters.s3 import S3Objects
from codexsys_core.artifact import ObjectStore, UploadForm
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Invalid, NotFound, Unavailable
from codexsys_core.growing import GivenUp, Growing

NAME = "codexsys-logs/logs/task_contract/a1-f1/agent.log"
WHOLE = bytes(range(256)) * (8 * 1024)
PART = len(WHOLE) // 2


@pytest.fixture
async def store(objects: Objects) -> Objects:
    await objects.delete(NAME)
    return objects


async def test_what_is_put_is_got(store: ObjectStore) -> None:
    assert await store.put(NAME, b"hello") == (5, hashlib.sha256(b"hello").hexdigest())
    assert await store.get(NAME) == b"hello"
    await store.put(NAME, b"")
    assert await store.get(NAME) == b""


async def test_a_large_file_goes_and_comes(store: ObjectStore, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(bytes(range(256)) * (70 * 1024))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert await store.put(NAME, source) == (source.stat().st_size, digest)
    assert await store.put(NAME, source, sha256=digest) == (source.stat().st_size, digest)
    await store.fetch(NAME, copy)
    assert copy.read_bytes() == source.read_bytes()
    assert b"".join([piece async for piece in store.stream(NAME)]) == source.read_bytes()


def growing(store: ObjectStore, path: Path, name: str) -> tuple[Growing, "asyncio.Task[Any]"]:
    """Begin to put a file of which a part is there."""
    path.write_bytes(WHOLE[:PART])
    file = Growing(path, len(WHOLE))
    putting = asyncio.create_task(store.put(name, file))
    file.grew(PART)
    return file, putting


async def test_a_growing_file_is_there_once_it_is_released(
    store: ObjectStore, tmp_path: Path
) -> None:
    names = [f"{NAME}.{number}" for number in range(6)]
    begun = [growing(store, tmp_path / name.replace("/", "_"), name) for name in names]
    for file, _ in begun:
        file.path.write_bytes(WHOLE)
        file.grew(len(WHOLE))
    for (file, putting), name in zip(begun, names, strict=True):
        with pytest.raises(NotFound):
            await store.get(name)
        file.release("f" * 64)
        assert await putting == (len(WHOLE), "f" * 64)
        assert await store.get(name) == WHOLE
        await store.delete(name)


async def test_a_growing_file_that_is_given_up_never_is_there(
    store: ObjectStore, tmp_path: Path
) -> None:
    begun = [growing(store, tmp_path / f"{number}", NAME) for number in range(6)]
    begun[0][0].path.write_bytes(WHOLE)
    begun[0][0].grew(len(WHOLE))
    for file, putting in begun:
        file.give_up()
        file.release("f" * 64)  # which comes too late
        with pytest.raises(GivenUp):
            await putting
    assert NAME not in await store.names(NAME)


async def test_a_growing_file_is_put_when_following_it_came_to_nothing(tmp_path: Path) -> None:
    server = urlsplit(must_have(S3_URL))
    async with (
        FaultProxy(server.hostname or "", server.port or 80) as proxy,
        S3Objects(
            url=f"s3://127.0.0.1:{proxy.port}",
            access_key=must_have(S3_KEY),
            secret_key=must_have(S3_SECRET),
            public_url="",
            bucket_suffix="-contract",
            clock=SystemClock(),
        ) as s3,
    ):
        await s3.put(NAME, b"")
        file, putting = growing(s3, tmp_path / "file", NAME)
        proxy.turn(Weather.RESET)
        file.path.write_bytes(WHOLE)
        file.grew(len(WHOLE))
        file.release(hashlib.sha256(WHOLE).hexdigest())
        assert await putting == (len(WHOLE), hashlib.sha256(WHOLE).hexdigest())
        assert await s3.get(NAME) == WHOLE


async def test_absent_is_not_found(store: ObjectStore) -> None:
    await store.put(NAME, b"x")
    await store.delete(NAME)
    await store.delete(NAME)
    with pytest.raises(NotFound):
        await store.get(NAME)


async def test_names_by_prefix(store: ObjectStore) -> None:
    await store.put(NAME, b"x")
    assert NAME in await store.names("codexsys-logs/logs/task_con")
    assert await store.names("codexsys-logs/logs/task_other") == []


async def test_names_while_others_delete(store: ObjectStore) -> None:
    stem = "codexsys-logs/logs/task_fleeting"
    names = [f"{stem}/a{number}-f1/agent.log" for number in range(40)]
    for name in names:
        await store.put(name, b"x")
    deletes = [store.delete(name) for name in names]
    await asyncio.gather(*deletes, *(store.names(f"{stem}/") for _ in range(20)))
    assert await store.names(stem) == []


@pytest.mark.parametrize(
    "name",
    [
        "codexsys-logs/../x",
        "/etc/passwd",
        "codexsys-logs/a//b",
        "codexsys-logs/a\0",
        "other/x",
        "codexsys-logs",
    ],
)
async def test_a_name_that_escapes_is_refused(store: ObjectStore, name: str) -> None:
    with pytest.raises(Invalid):
        await store.put(name, b"x")
    with pytest.raises(Invalid):
        await store.get(name)


async def test_a_link_leads_to_an_attachment(store: ObjectStore) -> None:
    await store.put(NAME, b"hello")
    link = await store.link(NAME, filename="my log.txt", content_type="text/x-log")
    if isinstance(store, FileObjects):
        token = link.url.removeprefix("http://x/objects/")
        assert store.verify(token) == (NAME, "my log.txt", "text/x-log")
        with pytest.raises(NotFound):
            store.verify(token[:-2])
        return
    assert await asyncio.to_thread(followed, link.url) == (
        b"hello",
        'attachment; filename="my log.txt"',
        "text/x-log",
    )


@pytest.mark.stack
async def test_a_link_names_the_address_that_people_reach(tmp_path: Path) -> None:
    url = urlsplit(must_have(S3_URL))
    async with S3Objects(
        url=f"s3://{url.netloc}",
        access_key=must_have(S3_KEY),
        secret_key=must_have(S3_SECRET),
        public_url=f"http://localhost:{url.port}",
        bucket_suffix="-contract",
        clock=SystemClock(),
    ) as store:
        await store.put(NAME, b"hello")
        link = await store.link(NAME, filename="a.log", content_type="text/plain")
        assert link.url.startswith(f"http://localhost:{url.port}/")
        assert (await asyncio.to_thread(followed, link.url))[0] == b"hello"


async def test_an_expired_link_is_not_found(tmp_path: Path) -> None:
    store = FileObjects(root=tmp_path, public_url="http://x", secret_key="k", clock=SystemClock())
    link = await store.link(NAME, filename="f", content_type="text/plain", seconds=-1)
    with pytest.raises(NotFound):
        store.verify(link.url.rpartition("/")[2])


async def sent(form: UploadForm, content: bytes, **changed: str) -> int:
    """Send a form as a browser does, and return the status."""
    async with httpx2.AsyncClient(trust_env=False) as client:
        files = {"file": ("code.zip", content)}
        answer = await client.post(form.url, data=form.fields | changed, files=files)
        return answer.status_code


def soon(seconds: float = 60) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def test_a_form_takes_this_object_alone(store: Objects) -> None:
    await store.delete(NAME)
    form = await store.form(NAME, most_bytes=1000, until=soon())
    assert form.url.startswith(store.origin)
    if isinstance(store, FileObjects):  # the API answers its forms: see test_api_objects.py
        token = form.url.removeprefix("http://x/objects/")
        assert (store.verify_form(token), form.fields) == ((NAME, 1000), {})
        for other in (token[:-2], (await store.form(NAME, most_bytes=1, until=soon(-1))).url[17:]):
            with pytest.raises(NotFound):
                store.verify_form(other)
        link = await store.link(NAME, filename="a", content_type="text/plain")
        with pytest.raises(NotFound):
            store.verify_form(link.url[17:])
        return
    elsewhere = "logs/task_contract/a1-f1/other.log"
    assert await sent(form, b"hello", key=elsewhere) == 403
    assert await sent(form, b"h" * 1001) == 400
    assert await sent(form, b"") == 400
    assert await sent(await store.form(NAME, most_bytes=1000, until=soon(-1)), b"hello") == 403
    assert await store.names("codexsys-logs/logs/task_contract") == []
    assert await sent(form, b"hello") == 204
    assert await store.get(NAME) == b"hello"


async def test_what_is_taken_stays_whatever_is_put_in_its_old_place(store: Objects) -> None:
    taken = "codexsys-code/tmp_zips/task_contract/code.zip"
    await store.put(NAME, b"first")
    assert await store.take(NAME, taken) == 5
    await store.put(NAME, b"second one")
    assert await store.get(taken) == b"first"
    assert await store.take(NAME, taken) == 10
    await store.delete(NAME)
    assert await store.get(taken) == b"second one"
    with pytest.raises(NotFound):
        await store.take(NAME, taken)
    await store.delete(taken)


async def test_what_is_taken_while_it_is_put_anew_is_whole(store: Objects) -> None:
    taken = "codexsys-code/tmp_zips/task_contract_2/code.zip"
    contents = [bytes([letter]) * 300_000 for letter in b"abcdef"]
    await store.put(NAME, contents[0])
    puts = [store.put(NAME, content) for content in contents * 3]
    takes = [store.take(NAME, f"{taken}{number}") for number in range(18)]
    results = await asyncio.gather(*puts, *takes, return_exceptions=True)
    for number, result in enumerate(results[len(puts) :]):
        if isinstance(result, Unavailable):
            continue  # nothing was copied, and it says so
        assert result == 300_000
        assert await store.get(f"{taken}{number}") in contents
        await store.delete(f"{taken}{number}")


@pytest.mark.stack
async def test_presigning_opens_no_socket() -> None:
    """The first form makes sure that there is a bucket; then nobody is there to be asked."""
    url = urlsplit(must_have(S3_URL))
    async with FaultProxy(str(url.hostname), url.port or 0) as proxy:
        address = f"127.0.0.1:{proxy.port}"
        async with S3Objects(
            url=f"s3://{address}",
            access_key=must_have(S3_KEY),
            secret_key=must_have(S3_SECRET),
            public_url="",
            bucket_suffix="-contract",
            clock=SystemClock(),
        ) as store:
            await store.form(NAME, most_bytes=1000, until=soon())
            opened = proxy.opened
            proxy.turn(Weather.CUT)
            for number in range(50):
                name = f"{NAME}{number}"
                form = await store.form(name, most_bytes=1000, until=soon())
                assert form.fields["key"] in name
                await store.link(name, filename="a.log", content_type="text/plain")
            assert proxy.opened == opened
            with pytest.raises(Unavailable):
                await store.get(NAME)
            assert proxy.opened > opened


async def test_ready(store: ObjectStore) -> None:
    await store.ready()


async def test_a_store_that_is_away_is_unavailable() -> None:
    async with S3Objects(
        url="s3://127.0.0.1:1",
        access_key="k",
        secret_key="s" * 8,
        public_url="",
        clock=SystemClock(),
    ) as s3:
        with pytest.raises(Unavailable) as caught:
            await s3.ready()
    assert caught.value.code == "store_unavailable"


def followed(url: str) -> tuple[bytes, str | None, str | None]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        headers = answer.headers
        return answer.read(), headers["Content-Disposition"], headers["Content-Type"]
