"""Submits that come at the same moment are written together, and each has an outcome of its own."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from tests.contract.stores.conftest import MakeTask
from tests.support.fault_proxy import FaultProxy, Weather

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tasks.places import LONG
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.tenants.idempotency import note_key
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_adapters.sql.tenants.quotas import SqlQuotas
from codexsys_adapters.sql.tenants.uploads import SqlUploads
from codexsys_core.errors import Invalid, RateLimited, Unavailable
from codexsys_core.idempotency import Idempotency
from codexsys_core.limits import Limits
from codexsys_core.principal import Tenant
from codexsys_core.quota import Quota
from codexsys_core.task import Task, TaskQuery
from codexsys_core.upload import Upload


def a_key(name: str, print_: str = "f") -> Idempotency:
    return Idempotency(key=name, fingerprint=print_ * 64)


def _read(answer: object) -> object:
    """Return a new task as it is read later: without the place that it had at first."""
    return answer.model_copy(update={"place": None}) if isinstance(answer, Task) else answer


async def test_each_of_many_at_once_has_its_own_outcome(
    database: Database, tasks: SqlTasks, make_task: MakeTask
) -> None:
    tenant = Tenant(id="ten_a", name="a", created_at=datetime.now(UTC))
    await SqlKeys(database=database).add_tenant(tenant)
    await SqlQuotas(database=database).set("ten_a", Quota(max_queued=5))
    known = await tasks.add(*make_task(), a_key("known"))
    upload = Upload(
        id="upl_a",
        tenant_id="ten_a",
        created_by="key_a",
        filename="a.zip",
        created_at=known.created_at,
    )
    await SqlUploads(database=database).add(upload)
    adds = {
        "known": tasks.add(*make_task(), a_key("known")),
        "other": tasks.add(*make_task(), a_key("known", "0")),
        "twin": tasks.add(*make_task(), a_key("twins")),
        "twin again": tasks.add(*make_task(), a_key("twins")),
        "sent": tasks.add(*make_task(), upload_id=upload.id),
        "not sent": tasks.add(*make_task(), upload_id="upl_none"),
        "labelled": tasks.add(*make_task(labels={"a": "1", "b": "2"})),
        **{f"more {number}": tasks.add(*make_task()) for number in range(6)},
    }
    ended = await asyncio.gather(*adds.values(), return_exceptions=True)
    found = {name: _read(each) for name, each in zip(adds, ended, strict=True)}
    assert found["known"] == _read(known)
    assert isinstance(found["other"], Invalid)
    assert found["other"].code == "idempotency_mismatch"
    assert isinstance(found["not sent"], Invalid)
    assert found["twin"] == found["twin again"]
    kinds = Counter(type(each) for each in found.values())
    made = {each.id for each in ended if isinstance(each, Task)} - {known.id}
    assert (len(made), kinds[Invalid], kinds[RateLimited]) == (4, 2, 5)
    stored = await tasks.find(TaskQuery(tenant_id="ten_a", limit=100))
    assert {each.id for each in stored} == made | {known.id}


async def test_each_of_many_at_once_is_whole(
    database: Database, tasks: SqlTasks, make_task: MakeTask
) -> None:
    given = [
        make_task(
            labels={"number": str(number)},
            prompt=f"'{number}' %s \\ 😀" * (number + 1),
            priority=number % 10,
            limits=Limits(calls=number + 1, cost_usd=number / 4),
        )
        for number in range(30)
    ]
    made = await asyncio.gather(*(tasks.add(*each) for each in given))
    for (task, _), added in zip(given, made, strict=True):
        assert _read(added) == task.model_copy(update={"seq": 1})
        assert await tasks.get(task.id, tenant_id="ten_a") == _read(added)
    for number in (0, 7, 29):
        query = TaskQuery(tenant_id="ten_a", label=("number", str(number)))
        assert await tasks.find(query) == [_read(made[number])]
    places = [await tasks.queue_position(each.id, tenant_id="ten_a") or 0 for each in made]
    assert sorted(places) == list(range(30))
    order = [
        priority for _, priority in sorted(zip(places, (n % 10 for n in range(30)), strict=True))
    ]
    assert order == sorted(order)


async def test_what_was_stored_before_a_full_queue_is_no_refusal(
    database: Database, make_task: MakeTask
) -> None:
    """So is asked again whose first answer was lost on its way: here for all of a batch, and a newcomer."""
    tasks = SqlTasks(database=database, max_queued=3)
    given = [make_task() for _ in range(3)]
    first = await asyncio.gather(*(tasks.add(*each) for each in given))
    again = await asyncio.gather(
        *(tasks.add(*each) for each in [*given, make_task()]), return_exceptions=True
    )
    assert again[:3] == [_read(each) for each in first]
    assert isinstance(again[3], RateLimited)


async def fill(tasks: SqlTasks, make_task: MakeTask) -> None:
    """Make the queue so long that it is not counted anew for each batch."""
    await asyncio.gather(*(tasks.add(*make_task()) for _ in range(LONG + 100)))


async def test_behind_a_long_queue_too_each_of_many_at_once_has_its_own_outcome(
    tasks: SqlTasks, make_task: MakeTask
) -> None:
    """What comes behind what was just counted is written, counted and committed in one go."""
    await fill(tasks, make_task)
    before = make_task()
    await tasks.add(*before)
    urgent = {"priority": 1}
    adds = [
        tasks.add(*make_task()),  # goes at once, and alone
        *(tasks.add(*make_task(prompt=f"{number} %s '; COMMIT")) for number in range(5)),
        *(tasks.add(*make_task(), a_key("twins")) for _ in range(2)),
        tasks.add(*before),
        tasks.add(*make_task(), a_key("own")),
        tasks.add(*make_task(**urgent)),
        *(tasks.add(*make_task()) for _ in range(3)),
    ]
    made = await asyncio.gather(*adds)
    assert made[6].id == made[7].id
    assert made[8].id == before[0].id
    last = [await tasks.add(*make_task(), a_key(f"last {number}")) for number in range(2)]
    ids = {each.id for each in (*made, *last)}
    assert len(ids) == len(made) + 1  # the twins are one
    stored = await tasks.find(TaskQuery(tenant_id="ten_a", limit=len(ids)))
    assert {each.id for each in stored} == ids
    assert await tasks.queue_position(made[10].id, tenant_id="ten_a") == 0


async def test_the_place_in_a_long_queue_is_known_at_once(
    tasks: SqlTasks, make_task: MakeTask
) -> None:
    async def place(task: Task) -> int | None:
        return await tasks.queue_position(task.id, tenant_id="ten_a")

    await fill(tasks, make_task)
    last = await tasks.add(*make_task())
    behind = await tasks.add(*make_task())
    other = await tasks.add(*make_task(tenant="ten_b"))
    assert (last.place, behind.place, other.place) == (LONG + 100, LONG + 101, 0)
    assert await place(last) == LONG + 100
    assert await place(behind) == LONG + 101
    assert await tasks.queue_position(other.id, tenant_id="ten_b") == 0
    many = await asyncio.gather(*(tasks.add(*make_task()) for _ in range(20)))
    assert sorted(each.place or 0 for each in many) == list(range(LONG + 102, LONG + 122))
    urgent = await tasks.add(*make_task(priority=0))
    assert urgent.place == 0
    assert await asyncio.gather(*map(place, (urgent, last, urgent, behind))) == [
        0,
        LONG + 101,
        0,
        LONG + 102,
    ]


@pytest.mark.stack
@pytest.mark.parametrize("database_url", ["mysql"], indirect=True)
async def test_a_key_that_is_just_being_written_holds_nobody_else_up(
    database_url: str, tasks: SqlTasks, make_task: MakeTask
) -> None:
    """Another process has written it and froze before it could commit."""
    async with Database(database_url) as frozen:
        async with frozen.write() as connection:
            await note_key(connection, "ten_a", "task_elsewhere", a_key("same"))
            same = asyncio.create_task(tasks.add(*make_task(), a_key("same")))
            others = [tasks.add(*make_task(), a_key(f"own {number}")) for number in range(4)]
            async with asyncio.timeout(4):
                made = await asyncio.gather(*others, tasks.add(*make_task()))
            assert not same.done()
            await connection.rollback()
        assert len({each.id for each in made} | {(await same).id}) == 6


@pytest.mark.stack
@pytest.mark.parametrize("database_url", ["mysql"], indirect=True)
async def test_submits_to_a_silent_database_hear_of_it_and_asked_again_make_one_each(
    database_url: str, tasks: SqlTasks, make_task: MakeTask
) -> None:
    """Also those who wait behind a transaction that gets no answer; part of it may have been stored."""
    url = urlsplit(database_url)
    async with FaultProxy(str(url.hostname), int(url.port or 0)) as proxy:
        there = url._replace(netloc=f"{url.netloc.partition('@')[0]}@127.0.0.1:{proxy.port}")
        async with Database(there.geturl(), answer_seconds=0.3) as behind:
            api = SqlTasks(database=behind, max_queued=150)
            await api.add(*make_task())
            given = [make_task() for _ in range(120)]
            asked = [asyncio.create_task(api.add(*each)) for each in given]
            await asyncio.wait(asked[:1], timeout=0.001)
            proxy.turn(Weather.BLACK_HOLE)
            async with asyncio.timeout(10):
                heard = await asyncio.gather(*asked, return_exceptions=True)
            assert any(isinstance(each, Unavailable) for each in heard)
            assert all(isinstance(each, Unavailable | Task) for each in heard)
    again = await asyncio.gather(*(tasks.add(*each) for each in given))
    assert [each.id for each in again] == [task.id for task, _ in given]
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a", limit=500))) == 121
