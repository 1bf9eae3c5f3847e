"""What stores say of a database that is away, locked, cut off or shared."""

import asyncio
import contextlib

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.contract.stores.conftest import Submit

from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.event_rows import append_event
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import AttemptStore
from codexsys_core.errors import Unavailable
from codexsys_core.event import EventType
from codexsys_core.moves import TaskStatus
from codexsys_core.task import Task, TaskStore


@pytest.mark.parametrize(
    "url", ["mysql://nobody:secret-word@127.0.0.1:1/x", "sqlite:////nowhere/at/all.db"]
)
async def test_a_database_that_is_away_is_unavailable(url: str) -> None:
    async with Database(url) as away:
        with pytest.raises(Unavailable) as caught:
            await SqlTasks(database=away).get("task_x", tenant_id="ten_a")
    assert caught.value.code == "database_unavailable"
    assert "secret-word" not in str(caught.value)


async def test_a_lock_that_is_not_given_back_is_unavailable(
    database_url: str, submit: Submit
) -> None:
    task = await submit()
    async with (
        Database(database_url, busy_seconds=0.1) as one,
        Database(database_url, busy_seconds=0.1) as other,
    ):
        async with one.write() as connection:
            await append_event(connection, task.id, EventType.AGENT_NOTE, {}, attempt=1)
            with pytest.raises(Unavailable):
                await SqlTasks(database=other).cancel(task.id, tenant_id="ten_a")
        cancelled = await SqlTasks(database=other).cancel(task.id, tenant_id="ten_a")
    assert (cancelled.status, cancelled.seq) == (TaskStatus.CANCELLED, 3)


async def test_a_broken_connection_is_replaced(
    database: Database, tasks: TaskStore, submit: Submit
) -> None:
    task = await submit()

    async def break_it() -> None:
        async with database.read() as connection:
            if database.dialect == "sqlite":
                raw = await connection.get_raw_connection()
                await raw.driver_connection.close()  # type: ignore[union-attr]
            else:
                mine = await connection.scalar(text("SELECT CONNECTION_ID()"))
                await connection.exec_driver_sql(f"KILL {mine}")

    for call in (tasks.get, tasks.cancel):
        with contextlib.suppress(Unavailable):  # what was running on it is lost
            await break_it()
        assert (await call(task.id, tenant_id="ten_a")).id == task.id


async def test_transactions_in_each_others_way_both_happen(
    database: Database, submit: Submit
) -> None:
    first, second = await submit(), await submit()
    meeting = asyncio.Barrier(2)
    met = False

    async def both(one: Task, other: Task) -> None:
        async def statements(connection: AsyncConnection) -> None:
            nonlocal met
            await append_event(connection, one.id, EventType.AGENT_NOTE, {}, attempt=1)
            if not met and database.dialect != "sqlite":  # there, only one of them can be in here
                await meeting.wait()
                met = True
            await append_event(connection, other.id, EventType.AGENT_NOTE, {}, attempt=1)

        await database.transact(statements)

    await asyncio.gather(both(first, second), both(second, first))
    events = SqlEvents(database=database)
    assert [len(await events.after(task.id, 0)) for task in (first, second)] == [3, 3]


async def test_two_processes_on_one_database_see_the_same(
    database_url: str, attempts: AttemptStore, submit: Submit
) -> None:
    waiting = [await submit() for _ in range(10)]
    async with Database(database_url) as another:
        theirs = SqlAttempts(database=another)
        calls = [
            store.claim(task.id, owner=owner, lease_seconds=60)
            for task in waiting
            for store, owner in ((attempts, "own_a"), (theirs, "own_b"))
        ]
        claims = [claim for claim in await asyncio.gather(*calls) if claim is not None]
    assert len({claim.hold.task_id for claim in claims}) == len(claims) == 10
