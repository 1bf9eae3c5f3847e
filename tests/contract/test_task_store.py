"""Every `TaskStore`, `AttemptStore` and `Outbox` keeps what the ports promise."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.event_rows import append_event
from codexsys_adapters.sql.events import SqlEvents
from codexsys_adapters.sql.outbox import SqlOutbox
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.artifact import Artifact
from codexsys_core.attempt import Attempt, AttemptStore, Claim, Ending, Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Invalid, NotFound, Unavailable
from codexsys_core.event import EventStore, EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import AttemptState, Phase, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.ready import turn_at
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxState, SandboxStore
from codexsys_core.source import Base, GitSource, TaskSource, ZipSource
from codexsys_core.task import DiffStat, Glance, Task, TaskQuery, TaskStore
from codexsys_core.verdict import Evidence, Verdict

MakeTask = Callable[..., tuple[Task, Attempt]]
Submit = Callable[..., Awaitable[Task]]
T = TypeVar("T")

LOST = Outcome(reason=EndReason.SANDBOX_LOST, detail="It was gone.")
DONE = Ending(
    status=TaskStatus.SUCCEEDED,
    outcome=Outcome(reason=EndReason.FINISHED),
    verdict=Verdict.VERIFIED,
    evidence=Evidence(verdict=Verdict.VERIFIED, sentences=["All passed."], before={"passed": 1}),
    diff=DiffStat(files=1, insertions=2, deletions=3),
    artifacts=(
        Artifact(name="report.md", object="codexsys-logs/x/report.md", size=3, sha256="b" * 64),
        Artifact(name="diff.patch", object="codexsys-logs/x/diff.patch", size=2, sha256="a" * 64),
    ),
)


@pytest.fixture
def tasks(database: Database) -> TaskStore:
    return SqlTasks(database=database)


@pytest.fixture
def attempts(database: Database) -> AttemptStore:
    return SqlAttempts(database=database)


@pytest.fixture
def outbox(database: Database) -> SqlOutbox:
    return SqlOutbox(database=database)


@pytest.fixture
def events(database: Database) -> EventStore:
    return SqlEvents(database=database)


@pytest.fixture
def sandboxes(database: Database) -> SandboxStore:
    return SqlSandboxes(database=database)


@pytest.fixture
def submit(tasks: TaskStore, make_task: MakeTask) -> Submit:
    async def add(**fields: Any) -> Task:
        return await tasks.add(*make_task(**fields))

    return add


async def eventually(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is something; the database's own clock has to move on for it."""
    async with asyncio.timeout(20):
        while True:
            if answer := await ask():
                return answer
            await asyncio.sleep(0.02)


async def claimed(attempts: AttemptStore, task: Task, *, lease_seconds: float = 300) -> Claim:
    claim = await attempts.claim(task.id, owner="own_a", lease_seconds=lease_seconds)
    assert claim is not None
    return claim


async def types(events: EventStore, task: Task) -> list[str]:
    found = await events.after(task.id, 0)
    assert [event.id for event in found] == list(range(1, len(found) + 1))
    return [event.type.value for event in found]


# --- tasks


@pytest.mark.parametrize(
    "source",
    [
        GitSource(url="https://example.org/a/b.git", ref="main"),
        ZipSource(object="codexsys-code/tmp_zips/x/code.zip", sha256="c" * 64, size=7),
        TaskSource(task_id="task_earlier"),
    ],
)
async def test_an_added_task_comes_back_as_it_was(
    tasks: TaskStore, make_task: MakeTask, source: Any
) -> None:
    task, attempt = make_task(
        source=source, prompt="Größe 😀 'quoted' \\ %s :x", labels={"team": "web"}
    )
    added = await tasks.add(task, attempt)
    stored = task.model_copy(update={"seq": 1})
    assert added == stored.model_copy(update={"place": 0})
    assert await tasks.get(task.id, tenant_id=task.tenant_id) == stored


async def test_adding_the_same_task_again_is_no_error(
    tasks: TaskStore, make_task: MakeTask
) -> None:
    task, attempt = make_task()
    assert (await tasks.add(task, attempt)).id == (await tasks.add(task, attempt)).id


async def test_another_tenants_task_is_not_found(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    with pytest.raises(NotFound):
        await tasks.get(task.id, tenant_id="ten_b")
    with pytest.raises(NotFound):
        await tasks.cancel(task.id, tenant_id="ten_b")
    assert await tasks.find(TaskQuery(tenant_id="ten_b")) == []
    assert await attempts.of_task(task.id, tenant_id="ten_b") == []
    assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.QUEUED


async def test_find_gives_the_newest_first_and_pages(tasks: TaskStore, submit: Submit) -> None:
    made = sorted([(await submit()).id for _ in range(5)], reverse=True)
    first = await tasks.find(TaskQuery(tenant_id="ten_a", limit=3))
    rest = await tasks.find(TaskQuery(tenant_id="ten_a", before=first[-1].id))
    assert [task.id for task in first + rest] == made


async def test_find_filters(tasks: TaskStore, submit: Submit) -> None:
    web = await submit(labels={"team": "web", "kind": "fix"})
    await submit(labels={"team": "Web"})
    other = await submit(source=GitSource(url="https://example.org/other.git"))
    await tasks.cancel(other.id, tenant_id="ten_a")

    async def found(**fields: Any) -> list[str]:
        return [task.id for task in await tasks.find(TaskQuery(tenant_id="ten_a", **fields))]

    assert await found(label=("team", "web")) == [web.id]
    assert await found(label=("team", "web"), status=TaskStatus.QUEUED) == [web.id]
    assert await found(status=TaskStatus.CANCELLED) == [other.id]
    assert await found(source_url="https://example.org/other.git") == [other.id]
    assert await found(created_after=datetime.now(UTC) + timedelta(hours=1)) == []
    assert len(await found(created_after=datetime.now(UTC) - timedelta(hours=1))) == 3


async def test_find_looks_for_words_as_they_are(tasks: TaskStore, submit: Submit) -> None:
    fix = await submit(prompt='Say "100 %" and\nFix the İndex_of Größe')
    other = await submit(prompt="Nothing", source=GitSource(url="https://example.org/Harbor.git"))
    await submit(prompt="Fix it", tenant="ten_b")

    async def found(words: str) -> list[str]:
        query = TaskQuery(tenant_id="ten_a", words=words)
        return [task.id for task in await tasks.find(query)]

    for words in ("fix the", 'SAY "100 %" and\nfix', "x_of größe", fix.id, "100 %"):
        assert await found(words) == [fix.id], words
    assert await found("harbor.GIT") == [other.id]
    for words in ("1__ %", "%fix%", "prompt", "command", "\\n", "fix it", "\0", "\0fix"):
        assert await found(words) == [], words


async def test_a_list_that_began_can_be_seen_again_without_what_came_since(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    old, shown, new = [(await submit()).id for _ in range(3)]
    again = await tasks.find(TaskQuery(tenant_id="ten_a", through=shown))
    assert [task.id for task in again] == [shown, old]
    since = await tasks.find(TaskQuery(tenant_id="ten_a", after=shown))
    assert [task.id for task in since] == [new]
    claim = await claimed(attempts, again[0])
    await attempts.end(claim.hold, DONE)
    verified = TaskQuery(tenant_id="ten_a", verdict=Verdict.VERIFIED)
    assert [task.id for task in await tasks.find(verified)] == [shown]


async def test_counts_are_by_status_and_stop_somewhere(tasks: TaskStore, submit: Submit) -> None:
    for _ in range(4):
        await submit()
    gone = await submit()
    await submit(tenant="ten_b")
    await tasks.cancel(gone.id, tenant_id="ten_a")
    found = await tasks.counts(tenant_id="ten_a", most=3)
    assert set(found) == set(TaskStatus)
    assert {status: count for status, count in found.items() if count} == {
        TaskStatus.QUEUED: 3,
        TaskStatus.CANCELLED: 1,
    }


async def test_queue_position_counts_the_tenants_earlier_tasks(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    first, second = await submit(), await submit()
    await submit(tenant="ten_b")
    third = await submit()

    async def place(task: Task) -> int | None:
        return await tasks.queue_position(task.id, tenant_id="ten_a")

    assert [await place(each) for each in (first, second, third)] == [0, 1, 2]
    await claimed(attempts, first)
    assert [await place(each) for each in (first, second, third)] == [None, 0, 1]


async def test_a_glance_tells_every_look_from_the_one_before(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task, other = await submit(), await submit()

    async def glance() -> Glance:
        return await tasks.glance(task.id, tenant_id="ten_a")

    seen = [await glance()]
    assert seen == [await glance()]
    assert await tasks.glance(other.id, tenant_id="ten_a") == seen[0]
    claim = await claimed(attempts, task)
    seen.append(await glance())
    await attempts.move(claim.hold, Phase.CODING)
    seen.append(await glance())
    await attempts.end(claim.hold, DONE)
    seen.append(await glance())
    await tasks.delete(task.id, tenant_id="ten_a")
    seen.append(await glance())
    assert len(set(seen)) == len(seen)
    assert [each.status for each in seen[1:]] == ["running", "running", "succeeded", "succeeded"]
    for tenant, task_id in (("ten_b", task.id), ("ten_a", "task_none")):
        with pytest.raises(NotFound):
            await tasks.glance(task_id, tenant_id=tenant)


# --- idempotency


async def test_a_known_key_gives_the_stored_task(tasks: TaskStore, make_task: MakeTask) -> None:
    key = Idempotency(key="once", fingerprint="f" * 64)
    assert await tasks.known("ten_a", key) is None
    made = await tasks.add(*make_task(), key)
    first = await tasks.get(made.id, tenant_id="ten_a")
    assert await tasks.add(*make_task(), key) == first
    assert await tasks.known("ten_a", key) == first
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a"))) == 1


async def test_a_key_with_another_request_is_refused(tasks: TaskStore, make_task: MakeTask) -> None:
    await tasks.add(*make_task(), Idempotency(key="once", fingerprint="f" * 64))
    other = Idempotency(key="once", fingerprint="0" * 64)
    for call in (tasks.add(*make_task(), other), tasks.known("ten_a", other)):
        with pytest.raises(Invalid) as caught:
            await call
        assert caught.value.code == "idempotency_mismatch"
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a"))) == 1


async def test_a_key_is_its_tenants_own(tasks: TaskStore, make_task: MakeTask) -> None:
    key = Idempotency(key="once", fingerprint="f" * 64)
    first = await tasks.add(*make_task(), key)
    other = await tasks.add(*make_task(tenant="ten_b"), key)
    assert first.id != other.id


async def test_a_race_with_one_key_makes_one_task(tasks: TaskStore, make_task: MakeTask) -> None:
    key = Idempotency(key="once", fingerprint="f" * 64)
    added = await asyncio.gather(*(tasks.add(*make_task(), key) for _ in range(8)))
    assert len({task.id for task in added}) == 1
    assert len(await tasks.find(TaskQuery(tenant_id="ten_a"))) == 1


# --- claims and leases


async def test_a_claim_makes_the_task_run(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    assert claim.hold.writer == "a1-f1"
    assert claim.attempt.state is AttemptState.RUNNING
    assert claim.attempt.owner == "own_a"
    assert claim.task == await tasks.get(task.id, tenant_id="ten_a")
    assert claim.task.status is TaskStatus.RUNNING
    assert claim.task.started_at is not None
    assert await attempts.of_task(task.id, tenant_id="ten_a") == [claim.attempt]
    assert await types(events, task) == ["task.queued", "task.running"]


async def test_of_many_claims_one_wins(attempts: AttemptStore, submit: Submit) -> None:
    waiting = [await submit() for _ in range(5)]
    calls = [
        attempts.claim(task.id, owner=f"own_{number}", lease_seconds=60)
        for task in waiting
        for number in range(8)
    ]
    claims = [claim for claim in await asyncio.gather(*calls) if claim is not None]
    assert sorted(claim.hold.task_id for claim in claims) == sorted(task.id for task in waiting)
    assert {claim.hold.fence for claim in claims} == {1}


async def test_the_same_owner_does_not_claim_twice(attempts: AttemptStore, submit: Submit) -> None:
    task = await submit()
    await claimed(attempts, task)
    assert await attempts.claim(task.id, owner="own_a", lease_seconds=60) is None


async def test_what_is_not_there_is_not_claimed(attempts: AttemptStore) -> None:
    assert await attempts.claim("task_nowhere", owner="own_a", lease_seconds=60) is None


async def test_a_beat_renews_and_tells_what_is_lost(attempts: AttemptStore, submit: Submit) -> None:
    mine, theirs = await claimed(attempts, await submit()), await submit()
    other = await attempts.claim(theirs.id, owner="own_b", lease_seconds=60)
    assert other is not None
    stale = mine.hold.model_copy(update={"attempt_id": "att_gone"})
    beat = await attempts.beat("own_a", [mine.hold, other.hold, stale], lease_seconds=900)
    assert beat.lost == {other.hold, stale}
    assert beat.cancelled == frozenset()
    (renewed,) = await attempts.of_task(mine.hold.task_id, tenant_id="ten_a")
    assert mine.attempt.lease_until is not None
    assert renewed.lease_until is not None
    assert renewed.lease_until > mine.attempt.lease_until + timedelta(seconds=500)


async def test_what_was_lost_and_claimed_again_is_lost_under_the_former_fence_only(
    attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    former = (await claimed(attempts, task, lease_seconds=-1)).hold
    assert await attempts.take_over(grace_seconds=0, most=3, limit=10)
    now = (await claimed(attempts, task)).hold
    beat = await attempts.beat("own_a", [former, now], lease_seconds=60)
    assert beat.lost == {former}
    assert beat.cancelled == frozenset()


async def test_a_beat_without_holds_says_nothing(attempts: AttemptStore) -> None:
    beat = await attempts.beat("own_a", [], lease_seconds=1)
    assert (beat.lost, beat.cancelled) == (frozenset(), frozenset())


async def test_a_beat_renews_an_expired_lease_while_the_fence_stands(
    attempts: AttemptStore, submit: Submit
) -> None:
    claim = await claimed(attempts, await submit(), lease_seconds=-1)
    assert (await attempts.beat("own_a", [claim.hold], lease_seconds=60)).lost == frozenset()
    assert await attempts.take_over(grace_seconds=0, most=3, limit=10) == []


# --- fenced calls


async def test_phases_are_events_once_each(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    for phase in (Phase.CLONING, Phase.CLONING, Phase.SETUP):
        assert await attempts.move(claim.hold, phase)
    assert (await tasks.get(task.id, tenant_id="ten_a")).phase is Phase.SETUP
    assert (await types(events, task))[2:] == ["task.phase", "task.phase"]


async def test_the_base_is_set_once(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    base = Base(commit="1" * 40, tree="2" * 40)
    assert await attempts.set_base(claim.hold, base) == base
    other = Base(commit="3" * 40, tree="2" * 40, object="codexsys-code/elsewhere")
    assert await attempts.set_base(claim.hold, other) == base
    stored = base.model_copy(update={"object": "codexsys-code/here"})
    assert await attempts.set_base(claim.hold, stored) == stored
    assert await attempts.set_base(claim.hold, base) == stored
    assert (await tasks.get(task.id, tenant_id="ten_a")).base == stored


async def test_an_ending_is_whole(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    assert await outbox.result(task.id) is None
    assert await attempts.end(claim.hold, DONE)
    ended = await tasks.get(task.id, tenant_id="ten_a")
    assert (ended.status, ended.phase) == (TaskStatus.SUCCEEDED, None)
    assert (ended.verdict, ended.evidence, ended.diff) == (DONE.verdict, DONE.evidence, DONE.diff)
    assert ended.end == DONE.outcome
    assert ended.finished_at is not None
    assert await types(events, task) == ["task.queued", "task.running", "task.succeeded"]
    (attempt,) = await attempts.of_task(task.id, tenant_id="ten_a")
    assert (attempt.state, attempt.end) == (AttemptState.ENDED, DONE.outcome)
    record = await outbox.result(task.id)
    assert record is not None
    assert (record.seq, record.fence, record.attempt) == (ended.seq, 1, 1)
    assert (record.status, record.verdict, record.end_reason) == (
        "succeeded",
        "verified",
        "finished",
    )
    assert record.finished_at == ended.finished_at
    assert [each["name"] for each in record.artifacts] == ["diff.patch", "report.md"]


async def test_the_same_ending_again_is_true_and_changes_nothing(
    attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    assert await attempts.end(claim.hold, DONE)
    assert await attempts.end(claim.hold, DONE)
    other = Ending(status=TaskStatus.FAILED, outcome=LOST)
    assert not await attempts.end(claim.hold, other)
    assert len(await types(events, task)) == 3


async def test_of_two_endings_at_once_one_counts(
    attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    other = Ending(status=TaskStatus.FAILED, outcome=LOST)
    answers = await asyncio.gather(attempts.end(hold, DONE), attempts.end(hold, other))
    assert sorted(answers) == [False, True]
    assert len(await types(events, task)) == 3


async def test_a_stale_fence_changes_nothing(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    stale = (await claimed(attempts, task)).hold
    assert await attempts.again(stale, LOST, new_attempt_id=None, delay_seconds=0)
    fresh = (await claimed(attempts, task)).hold
    assert fresh.fence == stale.fence + 1
    before = await tasks.get(task.id, tenant_id="ten_a")
    assert not await attempts.move(stale, Phase.CODING)
    assert await attempts.set_base(stale, Base(commit="1" * 40, tree="2" * 40)) is None
    assert not await attempts.end(stale, DONE)
    assert not await attempts.again(stale, LOST, new_attempt_id=None, delay_seconds=0)
    assert not await attempts.again(stale, LOST, new_attempt_id="att_new", delay_seconds=0)
    assert (await attempts.beat("own_a", [stale], lease_seconds=9)).lost == {stale}
    assert await tasks.get(task.id, tenant_id="ten_a") == before
    assert await attempts.move(fresh, Phase.CODING)


async def test_again_with_a_new_id_is_another_attempt(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    first = (await claimed(attempts, task)).hold
    for _ in range(2):  # the second is the same call after an unknown answer
        assert await attempts.again(first, LOST, new_attempt_id="att_second", delay_seconds=0)
    queued = await tasks.get(task.id, tenant_id="ten_a")
    assert (queued.status, queued.attempt, queued.phase) == (TaskStatus.QUEUED, 2, None)
    ended, waiting = await attempts.of_task(task.id, tenant_id="ten_a")
    assert (ended.state, ended.end) == (AttemptState.ENDED, LOST)
    assert (waiting.id, waiting.number, waiting.state) == ("att_second", 2, AttemptState.QUEUED)
    second = await claimed(attempts, task)
    assert second.hold.writer == "a2-f1"
    assert (await types(events, task))[2:] == ["task.attempt_ended", "task.running"]


async def test_again_waits_for_its_delay(
    attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    assert await attempts.again(hold, LOST, new_attempt_id=None, delay_seconds=0.5)
    (row,) = await attempts.of_task(task.id, tenant_id="ten_a")
    claim = await eventually(lambda: attempts.claim(task.id, owner="own_a", lease_seconds=60))
    (later,) = await attempts.of_task(task.id, tenant_id="ten_a")
    assert row.due_at is not None
    assert later.lease_until is not None
    assert later.lease_until - timedelta(seconds=60) >= row.due_at
    assert claim is not None
    assert claim.hold.fence == 2


async def test_two_attempts_of_a_task_share_its_row_in_any_order_of_calls(
    attempts: AttemptStore, events: EventStore, tasks: TaskStore, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    await asyncio.gather(
        *(attempts.move(hold, phase) for phase in Phase),
        tasks.cancel(task.id, tenant_id="ten_a"),
        attempts.beat("own_a", [hold], lease_seconds=60),
    )
    assert len(await types(events, task)) == 2 + len(Phase) + 1


# --- cancel


async def test_cancel_of_a_queued_task_ends_it(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    cancelled = await tasks.cancel(task.id, tenant_id="ten_a")
    assert cancelled.status is TaskStatus.CANCELLED
    assert cancelled.end == Outcome(reason=EndReason.CANCELLED)
    assert await tasks.cancel(task.id, tenant_id="ten_a") == cancelled
    assert await attempts.claim(task.id, owner="own_a", lease_seconds=60) is None
    assert [
        record.task_id for record in await outbox.unpublished_results(older_than_seconds=0, limit=9)
    ] == [task.id]
    assert await types(events, task) == ["task.queued", "task.cancelled"]


async def test_cancel_of_a_running_task_asks_its_owner(
    tasks: TaskStore, attempts: AttemptStore, events: EventStore, submit: Submit
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    for _ in range(2):
        assert (await tasks.cancel(task.id, tenant_id="ten_a")).status is TaskStatus.RUNNING
    beat = await attempts.beat("own_a", [claim.hold], lease_seconds=60)
    assert not beat.lost
    assert beat.cancelled == {claim.hold}
    ending = Ending(status=TaskStatus.CANCELLED, outcome=Outcome(reason=EndReason.CANCELLED))
    assert await attempts.end(claim.hold, ending)
    assert (await types(events, task))[2:] == ["task.cancelling", "task.cancelled"]


async def test_cancel_of_an_ended_task_changes_nothing(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    await attempts.end((await claimed(attempts, task)).hold, DONE)
    ended = await tasks.get(task.id, tenant_id="ten_a")
    assert await tasks.cancel(task.id, tenant_id="ten_a") == ended


@pytest.mark.parametrize("new_attempt_id", [None, "att_second"])
async def test_a_cancelled_task_is_not_queued_again(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit, new_attempt_id: str | None
) -> None:
    task = await submit()
    claim = await claimed(attempts, task)
    await tasks.cancel(task.id, tenant_id="ten_a")
    assert await attempts.again(claim.hold, LOST, new_attempt_id=new_attempt_id, delay_seconds=0)
    assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.CANCELLED
    assert len(await attempts.of_task(task.id, tenant_id="ten_a")) == 1


@pytest.mark.parametrize("new_attempt_id", [None, "new"])
async def test_cancel_against_again_leaves_no_task_that_nobody_ends(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit, new_attempt_id: str | None
) -> None:
    for number in range(10):
        task = await submit()
        hold = (await claimed(attempts, task)).hold
        following = new_attempt_id and f"att_{number}"
        await asyncio.gather(
            attempts.again(hold, LOST, new_attempt_id=following, delay_seconds=0),
            tasks.cancel(task.id, tenant_id="ten_a"),
        )
        assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.CANCELLED


async def test_cancel_against_claim_has_one_outcome(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    for _ in range(10):
        task = await submit()
        claim, cancelled = await asyncio.gather(
            attempts.claim(task.id, owner="own_a", lease_seconds=60),
            tasks.cancel(task.id, tenant_id="ten_a"),
        )
        if claim is None:
            assert cancelled.status is TaskStatus.CANCELLED
        else:
            beat = await attempts.beat("own_a", [claim.hold], lease_seconds=60)
            assert beat.cancelled == {claim.hold}


# --- takeover


def a_sandbox(hold: Hold) -> Sandbox:
    now = datetime.now(UTC).replace(microsecond=0)
    return Sandbox(
        id=f"sbx_{hold.fence}",
        task_id=hold.task_id,
        tenant_id=hold.tenant_id,
        attempt_id=hold.attempt_id,
        attempt=hold.number,
        fence=hold.fence,
        role=SandboxRole.AGENT,
        backend="dummy",
        place="here",
        token_hash=f"{hold.fence:064}",
        deadline=now,
        created_at=now,
    )


async def test_an_expired_attempt_is_queued_under_a_raised_fence(
    tasks: TaskStore,
    attempts: AttemptStore,
    events: EventStore,
    sandboxes: SandboxStore,
    submit: Submit,
) -> None:
    task, other = await submit(), await submit()
    hold = (await claimed(attempts, task, lease_seconds=0.2)).hold
    await claimed(attempts, other)
    assert await sandboxes.add(hold, a_sandbox(hold))
    (taken,) = await eventually(lambda: attempts.take_over(grace_seconds=0, most=3, limit=10))
    assert taken == hold.model_copy(update={"fence": 2})
    queued = await tasks.get(task.id, tenant_id="ten_a")
    assert (queued.status, queued.attempt) == (TaskStatus.QUEUED, 1)
    (row,) = await attempts.of_task(task.id, tenant_id="ten_a")
    assert (row.state, row.owner, row.takeovers) == (AttemptState.QUEUED, None, 1)
    (sandbox,) = await sandboxes.of_task(task.id)
    assert (sandbox.state, sandbox.end_reason) == (SandboxState.ENDED, "taken_over")
    assert not await attempts.move(hold, Phase.CODING)
    assert (await claimed(attempts, task)).hold.fence == 3
    assert "task.taken_over" in await types(events, task)


async def test_relays_at_once_take_each_attempt_once(
    attempts: AttemptStore, submit: Submit
) -> None:
    for _ in range(6):
        await claimed(attempts, await submit(), lease_seconds=-1)
    calls = (attempts.take_over(grace_seconds=0, most=3, limit=10) for _ in range(4))
    taken = [hold.attempt_id for holds in await asyncio.gather(*calls) for hold in holds]
    assert len(taken) == len(set(taken)) == 6


async def test_too_many_takeovers_poison_the_task(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit()
    for _ in range(3):
        await claimed(attempts, task, lease_seconds=-1)
        assert len(await attempts.take_over(grace_seconds=0, most=2, limit=10)) == 1
    ended = await tasks.get(task.id, tenant_id="ten_a")
    assert ended.status is TaskStatus.FAILED
    assert ended.end is not None
    assert ended.end.reason is EndReason.POISONED
    record = await outbox.result(task.id)
    assert record is not None
    assert (record.end_reason, record.fence) == ("poisoned", 6)


async def test_a_takeover_of_a_cancelled_task_ends_it(
    tasks: TaskStore, attempts: AttemptStore, submit: Submit
) -> None:
    task = await submit()
    await claimed(attempts, task, lease_seconds=-1)
    await tasks.cancel(task.id, tenant_id="ten_a")
    await attempts.take_over(grace_seconds=0, most=3, limit=10)
    assert (await tasks.get(task.id, tenant_id="ten_a")).status is TaskStatus.CANCELLED


async def test_an_ending_ends_the_sandboxes(
    attempts: AttemptStore, sandboxes: SandboxStore, submit: Submit
) -> None:
    task = await submit()
    hold = (await claimed(attempts, task)).hold
    await sandboxes.add(hold, a_sandbox(hold))
    await attempts.end(hold, DONE)
    assert [each.state for each in await sandboxes.of_task(task.id)] == [SandboxState.ENDED]


# --- outbox


async def test_a_waiting_task_is_announced_until_it_is_noted(
    outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit(priority=7)
    (record,) = await outbox.unpublished_tasks(older_than_seconds=0, limit=9)
    assert (record.task_id, record.attempt, record.tenant_id) == (task.id, 1, "ten_a")
    assert record.mode == "modify"
    assert record.turn_at == turn_at(record.enqueued_at, 7)
    assert record.source == {"git": {"url": "https://example.org/a/b.git", "ref": None}}
    assert await outbox.unpublished_tasks(older_than_seconds=60, limit=9) == []
    await outbox.tasks_published([record])
    assert await outbox.unpublished_tasks(older_than_seconds=0, limit=9) == []
    assert await outbox.waiting(limit=9) == [record.waiting]


async def test_records_carry_no_prompt(outbox: SqlOutbox, submit: Submit) -> None:
    await submit(
        prompt="hunter2", source=ZipSource(object="codexsys-code/x", sha256="c" * 64, size=7)
    )
    (record,) = await outbox.unpublished_tasks(older_than_seconds=0, limit=9)
    assert "hunter2" not in record.model_dump_json()
    assert record.source == {"object": "codexsys-code/x"}


async def test_waiting_holds_what_can_be_claimed_oldest_first(
    tasks: TaskStore, attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    running, cancelled, delayed = await submit(), await submit(), await submit()
    first, second = await submit(), await submit()
    await claimed(attempts, running)
    await tasks.cancel(cancelled.id, tenant_id="ten_a")
    hold = (await claimed(attempts, delayed)).hold
    await attempts.again(hold, LOST, new_attempt_id="att_later", delay_seconds=600)
    assert [record.task_id for record in await outbox.waiting(limit=9)] == [first.id, second.id]
    assert delayed.id not in {
        record.task_id for record in await outbox.unpublished_tasks(older_than_seconds=0, limit=9)
    }


async def test_a_result_is_due_until_it_is_noted(
    attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    task = await submit()
    await attempts.end((await claimed(attempts, task)).hold, DONE)
    (record,) = await outbox.unpublished_results(older_than_seconds=0, limit=9)
    assert record == await outbox.result(task.id)
    assert await outbox.unpublished_results(older_than_seconds=60, limit=9) == []
    await outbox.result_published(task.id, record.seq + 1)
    assert len(await outbox.unpublished_results(older_than_seconds=0, limit=9)) == 1
    await outbox.result_published(task.id, record.seq)
    assert await outbox.unpublished_results(older_than_seconds=0, limit=9) == []
    assert await outbox.result(task.id) == record


async def test_a_task_that_nobody_takes_times_out(
    tasks: TaskStore, outbox: SqlOutbox, submit: Submit
) -> None:
    late = await submit(limits={"queue_seconds": 1})
    patient = await submit()
    assert await eventually(lambda: outbox.expire_queued(limit=9)) == 1
    ended = await tasks.get(late.id, tenant_id="ten_a")
    assert ended.status is TaskStatus.TIMED_OUT
    assert ended.end is not None
    assert ended.end.reason is EndReason.QUEUE_TIMEOUT
    assert (await outbox.result(late.id)) is not None
    assert (await tasks.get(patient.id, tenant_id="ten_a")).status is TaskStatus.QUEUED


async def test_a_running_task_does_not_time_out_in_the_queue(
    attempts: AttemptStore, outbox: SqlOutbox, submit: Submit
) -> None:
    late = await submit(limits={"queue_seconds": 1})
    running = await submit(limits={"queue_seconds": 1})
    hold = (await claimed(attempts, running)).hold
    assert await eventually(lambda: outbox.expire_queued(limit=9)) == 1
    assert (await outbox.result(late.id)) is not None
    assert await attempts.move(hold, Phase.CODING)


# --- the edge


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
