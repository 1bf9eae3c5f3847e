"""Every `UploadStore`, and every `TaskStore` that uses one up, keeps what the ports promise."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert
from tests.contract.stores.conftest import MakeTask

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import UPLOADS
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.tenants.uploads import SqlUploads
from codexsys_adapters.sql.times import naive
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Conflict, Invalid, NotFound, PlatformError, RateLimited
from codexsys_core.idempotency import Idempotency
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.task import Task, TaskQuery
from codexsys_core.upload import MOST_A_DAY, MOST_UNUSED, Upload

KEY = Idempotency(key="once", fingerprint="f" * 64)


@pytest.fixture
def uploads(database: Database) -> SqlUploads:
    return SqlUploads(database=database)


def an_upload(*, tenant_id: str = "ten_a", age_seconds: float = 0) -> Upload:
    return Upload(
        id=TimeOrderedIds().new("upl"),
        tenant_id=tenant_id,
        created_by="key_a",
        filename="größe.zip",
        created_at=SystemClock().now() - timedelta(seconds=age_seconds),
    )


async def test_an_upload_is_its_tenants(uploads: SqlUploads) -> None:
    mine = an_upload()
    assert await uploads.add(mine) == mine
    assert await uploads.get(mine.id, tenant_id="ten_a") == mine
    assert await uploads.get(mine.id, tenant_id="ten_b") is None


async def test_the_same_key_gives_the_same_upload(uploads: SqlUploads) -> None:
    made = await asyncio.gather(*(uploads.add(an_upload(), KEY) for _ in range(4)))
    assert len({each.id for each in made}) == 1
    with pytest.raises(Invalid) as caught:
        await uploads.add(an_upload(), KEY.model_copy(update={"fingerprint": "e" * 64}))
    assert caught.value.code == "idempotency_mismatch"
    assert await uploads.add(an_upload(tenant_id="ten_b"), KEY) != made[0]


async def test_one_upload_makes_one_task(
    uploads: SqlUploads, tasks: SqlTasks, make_task: MakeTask
) -> None:
    mine = await uploads.add(an_upload())
    results = await asyncio.gather(
        *(tasks.add(*make_task(), upload_id=mine.id) for _ in range(5)), return_exceptions=True
    )
    made = [each for each in results if isinstance(each, Task)]
    codes = [each.code for each in results if isinstance(each, PlatformError)]
    assert (len(made), codes) == (1, ["upload_used"] * 4)
    assert [each.id for each in await tasks.find(TaskQuery(tenant_id="ten_a"))] == [made[0].id]
    stored = await uploads.get(mine.id, tenant_id="ten_a")
    assert stored is not None
    assert stored.task_id == made[0].id
    with pytest.raises(Invalid, match=made[0].id):
        stored.must_be_usable(SystemClock().now())


async def test_a_task_with_a_known_key_leaves_the_upload(
    uploads: SqlUploads, tasks: SqlTasks, make_task: MakeTask
) -> None:
    mine = await uploads.add(an_upload())
    first = await tasks.add(*make_task(), KEY)
    assert (await tasks.add(*make_task(), KEY, upload_id=mine.id)).id == first.id
    assert await uploads.get(mine.id, tenant_id="ten_a") == mine


@pytest.mark.parametrize("tenant", ["ten_b", None])
async def test_anothers_upload_or_none_makes_no_task(
    uploads: SqlUploads, tasks: SqlTasks, make_task: MakeTask, tenant: str | None
) -> None:
    theirs = an_upload(tenant_id="ten_b")
    if tenant:
        await uploads.add(theirs)
    with pytest.raises(Invalid) as caught:
        await tasks.add(*make_task(), KEY, upload_id=theirs.id)
    assert caught.value.code == "upload_not_found"
    assert await tasks.find(TaskQuery(tenant_id="ten_a")) == []
    assert await tasks.known("ten_a", KEY) is None


async def test_a_tenant_has_so_many_unused(uploads: SqlUploads, tasks: SqlTasks) -> None:
    for _ in range(MOST_UNUSED):
        await uploads.add(an_upload())
    with pytest.raises(RateLimited) as caught:
        await uploads.add(an_upload())
    assert caught.value.code == "uploads_full"
    await uploads.add(an_upload(tenant_id="ten_b"))


async def test_those_that_were_refused_or_given_up_leave_room(uploads: SqlUploads) -> None:
    made = [await uploads.add(an_upload()) for _ in range(MOST_UNUSED)]
    await uploads.refuse(made[0].id, tenant_id="ten_b")
    with pytest.raises(RateLimited):
        await uploads.add(an_upload())
    await uploads.refuse(made[0].id, tenant_id="ten_a")
    await uploads.give_up(made[1].id, tenant_id="ten_a")
    for _ in range(2):
        await uploads.add(an_upload())
    with pytest.raises(RateLimited):
        await uploads.add(an_upload())
    assert await uploads.get(made[0].id, tenant_id="ten_a") == made[0]
    assert await uploads.get(made[1].id, tenant_id="ten_a") is None


async def test_a_day_has_so_many_however_they_ended(
    database: Database, uploads: SqlUploads
) -> None:
    now = naive(SystemClock().now())
    rows = [
        an_upload().model_dump() | {"created_at": now, "refused_at": now}
        for _ in range(MOST_A_DAY - 1)
    ]
    async with database.write() as connection:
        await connection.execute(insert(UPLOADS), rows)
    await uploads.add(an_upload())
    with pytest.raises(RateLimited, match="1,000"):
        await uploads.add(an_upload())


async def test_what_was_given_up_makes_no_task_and_is_forgotten(
    uploads: SqlUploads, tasks: SqlTasks, make_task: MakeTask
) -> None:
    mine, used = await uploads.add(an_upload(age_seconds=99)), await uploads.add(an_upload())
    task = await tasks.add(*make_task(), upload_id=used.id)
    await uploads.give_up(mine.id, tenant_id="ten_a")
    with pytest.raises(Invalid) as caught:
        await tasks.add(*make_task(), upload_id=mine.id)
    assert caught.value.code == "upload_not_found"
    for upload_id, tenant_id in ((mine.id, "ten_a"), (used.id, "ten_b"), ("upl_none", "ten_a")):
        with pytest.raises(NotFound):
            await uploads.give_up(upload_id, tenant_id=tenant_id)
    with pytest.raises(Conflict, match=task.id):
        await uploads.give_up(used.id, tenant_id="ten_a")
    assert await uploads.old(after_seconds=50, limit=9) == [mine]


async def test_an_upload_is_used_or_given_up(
    uploads: SqlUploads, tasks: SqlTasks, make_task: MakeTask
) -> None:
    for _ in range(10):
        mine = await uploads.add(an_upload())
        made, gone = await asyncio.gather(
            tasks.add(*make_task(), upload_id=mine.id),
            uploads.give_up(mine.id, tenant_id="ten_a"),
            return_exceptions=True,
        )
        codes = {each.code for each in (made, gone) if isinstance(each, PlatformError)}
        assert codes in ({"upload_used"}, {"upload_not_found"})
        assert isinstance(made, Task) == (codes == {"upload_used"})


async def test_old_ones_are_found_oldest_first_and_forgotten(uploads: SqlUploads) -> None:
    young, old, older = [await uploads.add(an_upload(age_seconds=age)) for age in (0, 99, 199)]
    assert await uploads.old(after_seconds=50, limit=9) == [older, old]
    assert await uploads.old(after_seconds=50, limit=1) == [older]
    await uploads.forget(older.id)
    await uploads.forget(older.id)
    assert await uploads.old(after_seconds=50, limit=9) == [old]
    assert await uploads.get(young.id, tenant_id="ten_a") == young


@pytest.mark.parametrize(("hours", "code"), [(0, "upload_missing"), (2, "upload_expired")])
def test_what_was_not_sent_may_still_come_or_not(hours: int, code: str) -> None:
    upload = an_upload()
    assert upload.not_sent(datetime.now(UTC) + timedelta(hours=hours)).code == code
    with pytest.raises(Invalid) as caught:
        upload.must_be_usable(datetime.now(UTC) + timedelta(days=1))
    assert caught.value.code == "upload_expired"
