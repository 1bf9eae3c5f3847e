"""What a pass of retention removes and leaves, on every database and every store."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from tests.contract.stores.asked_of_tasks import eventually
from tests.contract.stores.conftest import MakeSandbox, MakeTask
from tests.contract.stores.kept_tasks import SECRET_WORDS, Shop

from codexsys_adapters.s3 import S3Objects
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.artifacts import SqlArtifacts
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.retention import SqlRetention
from codexsys_adapters.sql.tenants.uploads import SqlUploads
from codexsys_core.artifact import ObjectStore
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Conflict, NotFound, Unavailable
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.ids import TimeOrderedIds, made_at
from codexsys_core.moves import TaskStatus
from codexsys_core.retention import Kept, remove
from codexsys_core.source import TaskSource, ZipSource
from codexsys_core.task import TaskQuery
from codexsys_core.upload import Upload
from codexsys_relay.retention import Terms

FOR_EVER = Terms(
    code_days=999, artifact_days=999, log_days=999, checkpoints=2, checkpoint_seconds=0
)
NO_CODE = Terms(code_days=0, artifact_days=999, log_days=999, checkpoints=2, checkpoint_seconds=0)
NO_FILES = Terms(code_days=999, artifact_days=0, log_days=999, checkpoints=2, checkpoint_seconds=0)
NO_CHUNKS = Terms(code_days=999, artifact_days=999, log_days=0, checkpoints=2, checkpoint_seconds=0)


@asynccontextmanager
async def away() -> AsyncIterator[ObjectStore]:
    """A store that nobody answers for."""
    async with S3Objects(
        url="s3://127.0.0.1:1",
        access_key="k",
        secret_key="s" * 8,
        public_url="",
        clock=SystemClock(),
    ) as s3:
        yield s3


@pytest.fixture
async def shop(
    database: Database, objects: ObjectStore, make_task: MakeTask, make_sandbox: MakeSandbox
) -> AsyncIterator[Shop]:
    opened = Shop(database, objects, make_task, make_sandbox)
    yield opened
    for task in opened.made:
        for kept in Kept:
            await remove(objects, task.id, kept)


ALL = {"tmp_zips", "processed_code", "checkpoints", "logs"}
POINTERS = ("artifacts", "checkpoints", "log_chunks")


async def test_code_goes_first_and_files_later(shop: Shop) -> None:
    task = await shop.ended()
    await shop.pass_(FOR_EVER)
    assert await shop.left(task) == ALL

    async def codeless() -> bool:
        await shop.pass_(NO_CODE)
        return await shop.left(task) == {"checkpoints", "logs"}

    async def bare() -> bool:
        await shop.pass_(NO_FILES)
        return await shop.left(task) == set()

    await eventually(codeless)
    assert [await shop.rows(table, task) for table in POINTERS] == [2, 1, 1]
    await eventually(bare)
    assert [await shop.rows(table, task) for table in POINTERS] == [0, 0, 0]
    kept = await shop.tasks.get(task.id, tenant_id="ten_a")
    assert (kept.status, kept.spec.prompt) == (TaskStatus.FAILED, task.spec.prompt)


async def test_what_is_not_over_keeps_everything(shop: Shop) -> None:
    task, _ = await shop.running(checkpoints=1)
    for terms in (NO_CODE, NO_FILES, NO_CHUNKS):
        await shop.pass_(terms)
    assert ALL - {"logs"} == await shop.left(task)
    assert await shop.rows("log_chunks", task) == 1


async def test_what_a_waiting_task_needs_is_kept(shop: Shop) -> None:
    first = await shop.ended()
    name = f"codexsys-code/tmp_zips/{first.id}/code.zip"
    zipped = ZipSource(object=name, sha256="0" * 64, size=3)
    second, hold = await shop.running(source=zipped, retry_of=first.id)
    await shop.end(second, hold)
    third, last = await shop.claimed(source=TaskSource(task_id=second.id))
    for task in (first, second):
        with pytest.raises(Conflict) as caught:
            await shop.tasks.delete(task.id, tenant_id="ten_a")
        assert caught.value.code == "task_in_use"
    store = SqlRetention(database=shop.database)
    for kept in Kept:
        assert await store.due(kept, after_seconds=-60, limit=9) == []
    await shop.end(third, last)
    due = await store.due(Kept.CODE, after_seconds=-60, limit=9)
    assert set(due) == {first.id, second.id, third.id}


async def test_a_change_that_is_in_a_checkpoint_alone_keeps_its_base_as_long_as_files(
    shop: Shop,
) -> None:
    task, hold = await shop.running(checkpoints=1)
    await shop.end(task, hold, ("agent.log",))
    store = SqlRetention(database=shop.database)
    assert await store.due(Kept.CODE, after_seconds=-60, limit=9) == []
    assert await store.due(Kept.FILES, after_seconds=-60, limit=9) == [task.id]
    await store.gone(task.id, Kept.FILES)
    assert await store.due(Kept.CODE, after_seconds=-60, limit=9) == [task.id]


async def test_a_young_checkpoint_is_kept_beside_the_last_ones(shop: Shop) -> None:
    task, _ = await shop.running(checkpoints=5)
    await shop.pass_(replace(FOR_EVER, checkpoint_seconds=300))
    assert await shop.rows("checkpoints", task) == 5


async def test_the_last_checkpoints_are_kept(shop: Shop) -> None:
    task, _ = await shop.running(checkpoints=5)
    other, _ = await shop.running(checkpoints=2)
    await asyncio.gather(*(shop.pass_(FOR_EVER) for _ in range(3)))
    names = await shop.objects.names(f"codexsys-code/checkpoints/{task.id}/")
    assert {name.split("/")[3] for name in names} == {"1-1-4", "1-1-5"}
    assert len(names) == 4
    assert [await shop.rows("checkpoints", each) for each in (task, other)] == [2, 2]
    last = await shop.checkpoints.last(task.id)
    assert last is not None
    assert last.number == 5


async def test_chunks_of_a_kept_log_go(shop: Shop) -> None:
    task = await shop.ended()
    bare, hold = await shop.running()
    await shop.logs.seal(hold, "agent")

    async def cleared() -> bool:
        await shop.pass_(NO_CHUNKS)
        return await shop.rows("log_chunks", task) == 0

    await eventually(cleared)
    assert await shop.logs.size(task.id, "agent") == 4
    assert await shop.rows("log_chunks", bare) == 1  # nothing else holds it


async def test_old_keys_go_and_young_ones_stay(shop: Shop, database: Database) -> None:
    keys = [Idempotency(key=name, fingerprint="f" * 64) for name in ("old", "young")]
    for key in keys:
        await shop.tasks.add(*shop.make_task(), key)
    async with database.write() as connection:
        await connection.execute(
            text(
                "UPDATE idempotency_keys SET created_at = '2026-01-01 00:00:00.000000' WHERE `key` = 'old'"
            )
        )
    await asyncio.gather(*(shop.pass_(FOR_EVER) for _ in range(3)))
    async with database.read() as connection:
        found = await connection.execute(text("SELECT `key` FROM idempotency_keys"))
        assert [row[0] for row in found] == ["young"]


def an_id(age_seconds: float) -> str:
    """Make a task's id of long ago."""
    letters = "0123456789abcdefghjkmnpqrstvwxyz"
    number = (int((time.time() - age_seconds) * 1000) << 80) | int.from_bytes(b"0123456789")
    return "task_" + "".join(letters[(number >> shift) & 31] for shift in range(125, -1, -5))


async def test_uploads_of_tasks_that_were_never_made_go(shop: Shop) -> None:
    old, young = an_id(2 * 86_400), an_id(3600)
    made = made_at(old)
    assert made is not None
    assert abs((datetime.now(UTC) - made).total_seconds() - 2 * 86_400) < 60
    task, _ = await shop.running()
    names = [f"codexsys-code/tmp_zips/{each}/code.zip" for each in (old, young)]
    for name in names:
        await shop.objects.put(name, b"zip")
    try:
        await shop.pass_(FOR_EVER)
        left = await shop.objects.names("codexsys-code/tmp_zips/")
        assert names[0] not in left
        assert names[1] in left
        assert f"codexsys-code/tmp_zips/{task.id}/code.zip" in left
    finally:
        await shop.objects.delete(names[1])


async def test_what_was_sent_and_never_used_is_forgotten_after_a_day(
    shop: Shop, database: Database
) -> None:
    store, sent = SqlUploads(database=database), []
    for hours in (26, 23):
        upload = Upload(
            id=TimeOrderedIds().new("upl"),
            tenant_id="ten_a",
            created_by="key_a",
            created_at=datetime.now(UTC) - timedelta(hours=hours),
        )
        sent.append(await store.add(upload))
        await shop.objects.put(upload.object, b"zip")
    late = f"codexsys-code/uploads/ten_a/{an_id(3 * 86_400).replace('task_', 'upl_')}"
    await shop.objects.put(late, b"came when nobody knew it any more")
    old, young = sent
    try:
        async with away() as store_away:
            with pytest.raises(Unavailable):
                await shop.pass_(FOR_EVER, store_away)
        assert await store.get(old.id, tenant_id="ten_a") == old  # it is known where the object is
        await shop.pass_(FOR_EVER)
        left = await shop.objects.names("codexsys-code/uploads/ten_a/")
        assert left == [young.object]
        assert await store.get(old.id, tenant_id="ten_a") is None
        assert await store.get(young.id, tenant_id="ten_a") == young
    finally:
        await shop.objects.delete(young.object)


async def test_a_deleted_task_is_a_row_with_a_status(shop: Shop, database: Database) -> None:
    task, hold = await shop.running(
        checkpoints=1,
        prompt=SECRET_WORDS,
        command=SECRET_WORDS,
        requirements={"functional": [SECRET_WORDS]},
        environment={"setup": SECRET_WORDS},
    )
    events = SqlEvents(database=database)
    told = {"text": SECRET_WORDS}
    await events.append(task.id, EventType.VERIFY_RESULT, told, attempt=1)
    with pytest.raises(Conflict) as caught:
        await shop.tasks.delete(task.id, tenant_id="ten_a")
    assert caught.value.code == "task_not_over"
    await shop.end(task, hold)
    before = await events.after(task.id, 0)
    with pytest.raises(NotFound):
        await shop.tasks.delete(task.id, tenant_id="ten_b")
    first = await shop.tasks.delete(task.id, tenant_id="ten_a")
    deleted = await shop.tasks.delete(task.id, tenant_id="ten_a")
    assert deleted == first
    assert deleted.status is TaskStatus.FAILED
    assert deleted.deleted_at is not None
    assert SECRET_WORDS not in deleted.model_dump_json()
    assert await SqlArtifacts(database=database).of_task(task.id) == []
    assert [await shop.rows(table, task) for table in POINTERS] == [0, 0, 0]
    after = await events.after(task.id, 0)
    assert [each.id for each in after] == [each.id for each in before]
    assert SECRET_WORDS not in "".join(each.model_dump_json() for each in after)
    rows = await SqlAttempts(database=database).of_task(task.id, tenant_id="ten_a")
    assert SECRET_WORDS not in "".join(row.model_dump_json() for row in rows)
    assert [each.id for each in await shop.tasks.find(TaskQuery(tenant_id="ten_a"))] == [task.id]
