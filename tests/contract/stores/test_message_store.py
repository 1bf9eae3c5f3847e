"""Every `MessageStore` keeps what the port promises."""

import asyncio

import pytest
from tests.contract.stores.conftest import MakeTask

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.talk.messages import SqlMessages
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import Hold
from codexsys_core.clock import SystemClock
from codexsys_core.errors import Conflict, Invalid, NotFound
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.message import MOST_MESSAGES, Message

PROMISE = Idempotency(key="once", fingerprint="a" * 64)


@pytest.fixture
def store(database: Database) -> SqlMessages:
    return SqlMessages(database=database)


async def send(
    store: SqlMessages,
    task_id: str,
    text: str = "Use tabs. Größe 🙂",
    *,
    tenant: str = "ten_a",
    promise: Idempotency | None = None,
) -> Message:
    message = Message(
        id=TimeOrderedIds().new("msg"),
        task_id=task_id,
        text=text,
        created_by="key_a",
        created_at=SystemClock().now(),
    )
    return await store.add(message, tenant_id=tenant, idempotency=promise)


async def test_messages_are_numbered_in_order_with_an_event_each(
    store: SqlMessages, database: Database, hold: Hold
) -> None:
    sent = [await send(store, hold.task_id, str(number)) for number in range(3)]
    assert [each.number for each in sent] == [1, 2, 3]
    assert await store.of_task(hold.task_id) == sent
    assert await store.of_task(hold.task_id, after=2) == sent[2:]
    assert await store.of_task("task_other") == []
    events = await SqlEvents(database=database).after(hold.task_id, 0)
    told = [event.data for event in events if event.type is EventType.TASK_MESSAGE]
    assert told == [{"message": each.id} for each in sent]


async def test_many_at_once_have_each_a_number(store: SqlMessages, hold: Hold) -> None:
    sent = await asyncio.gather(*(send(store, hold.task_id, str(n)) for n in range(8)))
    assert sorted(each.number for each in sent) == list(range(1, 9))


async def test_a_message_is_delivered_once(store: SqlMessages, hold: Hold) -> None:
    sent = await send(store, hold.task_id)
    assert sent.delivered_at is None
    await store.delivered("task_other", sent.id)
    await store.delivered(hold.task_id, "msg_unknown")
    assert await store.of_task(hold.task_id) == [sent]
    await store.delivered(hold.task_id, sent.id)
    (read,) = await store.of_task(hold.task_id)
    assert read.delivered_at is not None
    await store.delivered(hold.task_id, sent.id)
    assert await store.of_task(hold.task_id) == [read]


async def test_the_same_promise_is_the_same_message(store: SqlMessages, hold: Hold) -> None:
    sent = await asyncio.gather(*(send(store, hold.task_id, promise=PROMISE) for _ in range(4)))
    assert len({each.id for each in sent}) == 1
    with pytest.raises(Invalid):
        await send(store, hold.task_id, promise=PROMISE.model_copy(update={"fingerprint": "b"}))
    assert len(await store.of_task(hold.task_id)) == 1


async def test_a_task_takes_messages_until_its_end_is_asked_for(
    store: SqlMessages, database: Database, hold: Hold, make_task: MakeTask
) -> None:
    with pytest.raises(NotFound):
        await send(store, hold.task_id, tenant="ten_b")
    tasks = SqlTasks(database=database)
    await tasks.cancel(hold.task_id, tenant_id="ten_a")
    with pytest.raises(Conflict) as over:
        await send(store, hold.task_id)
    assert over.value.code == "task_over"
    task, attempt = make_task(engine="command", command="true")
    await tasks.add(task, attempt)
    with pytest.raises(Conflict) as unread:
        await send(store, task.id)
    assert unread.value.code == "messages_not_read"
    assert await store.of_task(task.id) == await store.of_task(hold.task_id) == []


async def test_a_task_takes_so_many(store: SqlMessages, database: Database, hold: Hold) -> None:
    for _ in range(MOST_MESSAGES):
        await send(store, hold.task_id)
    with pytest.raises(Conflict) as full:
        await send(store, hold.task_id)
    assert full.value.code == "messages_full"


async def test_a_deleted_task_keeps_none(
    store: SqlMessages, database: Database, make_task: MakeTask
) -> None:
    tasks = SqlTasks(database=database)
    task, attempt = make_task()
    await tasks.add(task, attempt)
    await send(store, task.id)
    await tasks.cancel(task.id, tenant_id="ten_a")
    await tasks.delete(task.id, tenant_id="ten_a")
    assert await store.of_task(task.id) == []
