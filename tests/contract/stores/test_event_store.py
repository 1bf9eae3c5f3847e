"""Every `EventStore` keeps what the port promises."""

import asyncio
from itertools import pairwise

import pytest
from tests.contract.stores.conftest import MakeTask

from codexsys_adapters.sql.attempts.adoption import SqlOrphans
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound
from codexsys_core.event import EventType
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome

STEP = EventType.AGENT_STEP
DONE = Ending(status=TaskStatus.SUCCEEDED, outcome=Outcome(reason=EndReason.FINISHED))


@pytest.fixture
def store(database: Database) -> SqlEvents:
    return SqlEvents(database=database)


async def test_an_event_comes_back_as_it_was(store: SqlEvents, hold: Hold) -> None:
    data = {"text": "größer 🙂", "list": [1, None, {"a": True}]}
    number = await store.append(hold.task_id, EventType.AGENT_NOTE, data, attempt=2)
    event = (await store.after(hold.task_id, number - 1))[0]
    assert (event.id, event.task_id, event.type) == (number, hold.task_id, EventType.AGENT_NOTE)
    assert (event.attempt, event.data) == (2, data)
    assert event.at.tzinfo is not None


async def test_numbers_go_on_without_a_gap(store: SqlEvents, hold: Hold) -> None:
    numbers = [await store.append(hold.task_id, STEP, {}, attempt=1) for _ in range(3)]
    assert all(b == a + 1 for a, b in pairwise(numbers))
    assert [event.id for event in await store.after(hold.task_id, 0)] == list(
        range(1, numbers[-1] + 1)
    )


async def test_after_and_limit_page_through(store: SqlEvents, hold: Hold) -> None:
    last = [await store.append(hold.task_id, STEP, {"n": n}, attempt=1) for n in range(5)][-1]
    assert [event.data["n"] for event in await store.after(hold.task_id, last - 5, limit=2)] == [
        0,
        1,
    ]
    assert [event.data["n"] for event in await store.after(hold.task_id, last - 1)] == [4]
    assert await store.after(hold.task_id, last) == []


async def test_a_plan_is_the_tasks_from_then_on(
    store: SqlEvents, database: Database, hold: Hold
) -> None:
    tasks = SqlTasks(database=database)
    steps = [{"step": "größer", "done": False}, {"step": "test", "done": False}]
    await store.append(
        hold.task_id, EventType.AGENT_PLAN, {"steps": steps, "files": ["a"]}, attempt=1
    )
    before = await tasks.get(hold.task_id, tenant_id=hold.tenant_id)
    assert before.plan == steps
    done = [{**step, "done": True} for step in steps]
    number = await store.append(hold.task_id, EventType.AGENT_PLAN, {"steps": done}, attempt=1)
    await store.append(hold.task_id, STEP, {"steps": []}, attempt=1)
    task = await tasks.get(hold.task_id, tenant_id=hold.tenant_id)
    assert (task.plan, task.seq) == (done, number + 1)


async def test_only_the_wanted_kinds_come(store: SqlEvents, hold: Hold) -> None:
    for kind in (STEP, EventType.AGENT_NOTE, STEP, EventType.AGENT_PLAN):
        await store.append(hold.task_id, kind, {}, attempt=1)
    kinds = {EventType.AGENT_NOTE, EventType.AGENT_PLAN}
    found = await store.after(hold.task_id, 0, kinds=kinds)
    assert [event.type for event in found] == [EventType.AGENT_NOTE, EventType.AGENT_PLAN]
    assert await store.after(hold.task_id, 0, kinds=()) == []
    assert await store.after(hold.task_id, found[0].id, kinds=kinds, limit=1) == found[1:]


async def test_a_senders_number_counts_once(store: SqlEvents, hold: Hold) -> None:
    first = await store.append(hold.task_id, STEP, {"n": 1}, attempt=1, sender=("sbx_a", 1))
    assert await store.append(hold.task_id, STEP, {"n": 9}, attempt=1, sender=("sbx_a", 1)) == first
    other = await store.append(hold.task_id, STEP, {"n": 2}, attempt=1, sender=("sbx_b", 1))
    assert [event.data for event in await store.after(hold.task_id, first - 1)] == [
        {"n": 1},
        {"n": 2},
    ]
    assert other == first + 1


async def test_copies_sent_at_once_count_once(store: SqlEvents, hold: Hold) -> None:
    calls = [
        store.append(hold.task_id, STEP, {}, attempt=1, sender=("sbx_a", n % 5)) for n in range(20)
    ]
    numbers = await asyncio.gather(*calls)
    assert len(set(numbers)) == 5
    ids = [event.id for event in await store.after(hold.task_id, 0)]
    assert ids == list(range(1, max(numbers) + 1))


async def test_senders_at_once_leave_no_gap(store: SqlEvents, hold: Hold) -> None:
    calls = [
        store.append(hold.task_id, STEP, {}, attempt=1, sender=(f"sbx_{n % 4}", n))
        for n in range(40)
    ]
    numbers = await asyncio.gather(*calls)
    assert sorted(numbers) == list(range(min(numbers), min(numbers) + 40))


async def test_events_of_many_tasks_at_once_do_not_hold_each_other_up(
    store: SqlEvents, database: Database, hold: Hold, make_task: MakeTask
) -> None:
    tasks = SqlTasks(database=database)
    others = [(await tasks.add(*make_task())).id for _ in range(3)]
    await tasks.cancel(others[2], tenant_id="ten_a")
    ids = [hold.task_id, others[0], hold.task_id, others[1], "task_nowhere", others[2]] * 3
    before = {each: len(await store.after(each, 0)) for each in ids}
    calls = (
        store.append(each, EventType.MODEL_CALL, {"n": n}, attempt=1) for n, each in enumerate(ids)
    )
    numbers = await asyncio.gather(*calls, return_exceptions=True)
    for each, count in ((hold.task_id, 6), (others[0], 3), (others[1], 3), (others[2], 0)):
        events = await store.after(each, 0)
        assert [event.id for event in events] == list(range(1, before[each] + count + 1))
        mine = [n for n, task_id in zip(numbers, ids, strict=True) if task_id == each]
        assert mine == ([event.id for event in events[before[each] :]] or [0] * 3)
    assert [isinstance(number, NotFound) for number in numbers].count(True) == 3


async def test_an_unknown_task_is_not_found(store: SqlEvents) -> None:
    with pytest.raises(NotFound):
        await store.append("task_nowhere", STEP, {}, attempt=1)
    with pytest.raises(NotFound):
        await store.append("task_nowhere", STEP, {}, attempt=1, sender=("sbx_a", 1))


async def test_a_former_owner_adds_nothing(
    store: SqlEvents, database: Database, hold: Hold
) -> None:
    kind = EventType.VERIFY_RESULT
    assert await store.append(hold.task_id, kind, {}, attempt=1, hold=hold)
    await SqlOrphans(database=database).release("own_a", [hold])
    before = await store.after(hold.task_id, 0)
    assert await store.append(hold.task_id, kind, {}, attempt=1, hold=hold) == 0
    assert await store.after(hold.task_id, 0) == before


async def test_nothing_is_added_to_a_task_that_is_over(
    store: SqlEvents, database: Database, hold: Hold
) -> None:
    """Whoever froze between looking and writing, a gateway as well as a worker."""
    first = await store.append(hold.task_id, STEP, {}, attempt=1, sender=("sbx_a", 1))
    assert await SqlAttempts(database=database).end(hold, DONE)
    assert await store.append(hold.task_id, STEP, {}, attempt=1, sender=("sbx_a", 2)) == 0
    assert await store.append(hold.task_id, STEP, {}, attempt=1) == 0
    assert await store.append(hold.task_id, STEP, {}, attempt=1, sender=("sbx_a", 1)) == first
    assert (await store.after(hold.task_id, 0))[-1].type is EventType.TASK_SUCCEEDED
