"""Counts of rows, and what has not moved for too long, by the database's own clock."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.contract.stores.conftest import MakeSandbox, Submit

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.census import SqlCensus
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_adapters.sql.talk.questions import SqlQuestions
from codexsys_core.attempt import Ending, Hold
from codexsys_core.census import Stuck, StuckKind
from codexsys_core.end_reasons import EndReason
from codexsys_core.moves import TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.question import Question
from codexsys_core.sandbox import SandboxRole
from codexsys_core.task import Task

DONE = Ending(status=TaskStatus.SUCCEEDED, outcome=Outcome(reason=EndReason.FINISHED))
LOST = Outcome(reason=EndReason.SANDBOX_LOST)


@pytest.fixture
def census(database: Database) -> SqlCensus:
    return SqlCensus(database=database)


async def claimed(database: Database, task: Task, *, lease_seconds: float = 300) -> Hold:
    attempts = SqlAttempts(database=database)
    claim = await attempts.claim(task.id, owner="own_a", lease_seconds=lease_seconds)
    assert claim is not None
    return claim.hold


async def stuck(census: SqlCensus, count: int, *, other_seconds: float = 0.2) -> list[Stuck]:
    """Return what is stuck once it is so many; the database's clock has to move on for it."""
    async with asyncio.timeout(20):
        while True:
            found = await census.stuck(queued_seconds=0.2, other_seconds=other_seconds, limit=50)
            if len(found) == count:
                return found
            await asyncio.sleep(0.02)


async def test_nothing_counts_as_nothing(census: SqlCensus) -> None:
    found = await census.census(unpublished_seconds=60)
    assert found.tasks == {"queued": 0, "running": 0, "suspended": 0}
    assert found.queue_age_seconds == found.expired_leases == found.unpublished_results == 0
    assert await census.stuck(queued_seconds=0, other_seconds=0, limit=9) == []


async def test_a_census_counts_what_is_not_over(
    census: SqlCensus, database: Database, submit: Submit
) -> None:
    first, second, third, _ = [await submit() for _ in range(4)]
    await claimed(database, first)
    await claimed(database, second, lease_seconds=-1)
    await SqlAttempts(database=database).end(await claimed(database, third), DONE)
    found = await census.census(unpublished_seconds=0)
    assert found.tasks == {"queued": 1, "running": 2, "suspended": 0}
    assert found.expired_leases == 1
    assert found.unpublished_results == 1
    assert 0 <= found.queue_age_seconds < 60
    assert (await census.census(unpublished_seconds=60)).unpublished_records == 0


async def test_what_will_be_due_has_no_age(
    census: SqlCensus, database: Database, submit: Submit
) -> None:
    hold = await claimed(database, await submit())
    attempts = SqlAttempts(database=database)
    await attempts.again(hold, LOST, new_attempt_id="att_later", delay_seconds=600)
    assert (await census.census(unpublished_seconds=0)).queue_age_seconds == 0
    (row,) = [
        each for each in await attempts.of_task(hold.task_id, tenant_id="ten_a") if each.number == 2
    ]
    assert row.due_at is not None
    assert await attempts.claim(hold.task_id, owner="own_b", lease_seconds=60) is None


async def test_what_nobody_claims_or_announces_is_stuck(
    census: SqlCensus, database: Database, submit: Submit
) -> None:
    task = await submit()
    kinds = {each.kind for each in await stuck(census, 2) if each.task_id == task.id}
    assert kinds == {StuckKind.QUEUED, StuckKind.RECORD_UNPUBLISHED}
    outbox = SqlOutbox(database=database)
    await outbox.tasks_published(await outbox.unpublished_tasks(older_than_seconds=0, limit=1))
    assert [each.kind for each in await stuck(census, 1)] == [StuckKind.QUEUED]


async def test_what_nobody_takes_over_or_tells_is_stuck(
    census: SqlCensus, database: Database, submit: Submit
) -> None:
    await claimed(database, await submit(), lease_seconds=-1)
    await SqlAttempts(database=database).end(await claimed(database, await submit()), DONE)
    found = await stuck(census, 2)
    assert [each.kind for each in found] == [StuckKind.LEASE_EXPIRED, StuckKind.RESULT_UNPUBLISHED]
    assert (found[0].what, found[1].what) == ("own_a", "succeeded")


async def test_a_question_that_nobody_sees_to_is_stuck(
    census: SqlCensus, database: Database, submit: Submit
) -> None:
    hold = await claimed(database, await submit())
    question = Question(
        id="qst_late", task_id=hold.task_id, text="Red?", deadline=datetime.now(UTC)
    )
    await SqlQuestions(database=database).suspend(hold, [question], answer_seconds=-1)
    (found,) = await stuck(census, 1)
    assert (found.kind, found.what) == (StuckKind.UNANSWERED, "qst_late")
    assert (await census.census(unpublished_seconds=0)).tasks["suspended"] == 1


async def test_sandboxes_that_nobody_looks_after_are_stuck(
    census: SqlCensus,
    database: Database,
    make_sandbox: MakeSandbox,
    submit: Submit,
) -> None:
    sandboxes = SqlSandboxes(database=database)
    hold = await claimed(database, await submit())
    astray, kept = make_sandbox(hold, fence=0, role=SandboxRole.VERIFY), make_sandbox(hold, fence=0)
    left, gone = make_sandbox(hold), make_sandbox(hold)
    for row in (astray, kept, left, gone):
        assert await sandboxes.add(hold, row)
    for row in (left, gone):
        await sandboxes.end(hold, row.id, "closed")
    await sandboxes.destroyed(gone.id)
    found = await stuck(census, 2)
    assert [each.kind for each in found] == [
        StuckKind.SANDBOX_WITHOUT_ATTEMPT,
        StuckKind.SANDBOX_LEFT,
    ]
    assert [each.what for each in found] == [f"{astray.id} at here", f"{left.id} at here"]
