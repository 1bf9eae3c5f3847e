"""Every `Orphans` keeps what the port promises: expired attempts go to who can reach their agent."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from codexsys_adapters.sql.attempts.adoption import SqlOrphans
from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.census import SqlCensus
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.events import SqlEvents
from codexsys_adapters.sql.record.logs import SqlLogs
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import Attempt, Claim, Ending, Heir, Hold, Living
from codexsys_core.census import StuckKind
from codexsys_core.end_reasons import EndReason
from codexsys_core.moves import AttemptState, Phase, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.redaction import SecretRedactor
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxState

MakeSandbox = Callable[..., Sandbox]
DONE = Ending(status=TaskStatus.SUCCEEDED, outcome=Outcome(reason=EndReason.FINISHED))


@pytest.fixture
def orphans(database: Database) -> SqlOrphans:
    return SqlOrphans(database=database)


@pytest.fixture
async def living(sandboxes: SqlSandboxes, sandbox: Sandbox) -> Sandbox:
    """The agent's sandbox of the held attempt, at the place `here`."""
    assert await sandboxes.live(sandbox.id)
    return sandbox


@pytest.fixture
async def orphan(attempts: SqlAttempts, hold: Hold, living: Sandbox) -> Sandbox:
    """The same, and its owner's lease has run out."""
    await attempts.beat("own_a", [hold], lease_seconds=-1)
    return living


@pytest.fixture
async def released(orphans: SqlOrphans, hold: Hold, living: Sandbox) -> Sandbox:
    """The same, but its owner, whose lease was good, has let go of it."""
    assert await orphans.release("own_a", [hold]) == [hold]
    return living


async def adopted(
    orphans: SqlOrphans,
    *,
    owner: str = "own_b",
    place: str = "here",
    life: int = 1,
    lease_seconds: float = 60.0,
    **more: object,
) -> list[Claim]:
    heir = Heir(owner=owner, place=place, life=life, lease_seconds=lease_seconds)
    given = {"held": [], "most": 3, "limit": 10, **more}
    return await orphans.adopt(heir, **given)  # type: ignore[arg-type]


async def one(attempts: SqlAttempts, hold: Hold) -> Attempt:
    """Return the row of the held attempt."""
    (row,) = await attempts.of_task(hold.task_id, tenant_id=hold.tenant_id)
    return row


async def test_the_heir_owns_the_attempt_and_its_living_sandbox(
    orphans: SqlOrphans, attempts: SqlAttempts, sandboxes: SqlSandboxes, hold: Hold, orphan: Sandbox
) -> None:
    (claim,) = await adopted(orphans)
    assert claim.hold == hold.model_copy(update={"fence": 2})
    assert claim.living == Living(sandbox_id=orphan.id, fence=1)
    assert claim.task.id == hold.task_id
    row = claim.attempt
    assert (row.state, row.owner, row.takeovers) == (AttemptState.RUNNING, "own_b", 1)
    (kept,) = await sandboxes.of_task(hold.task_id)
    assert kept.state is SandboxState.LIVE
    assert (await attempts.beat("own_b", [claim.hold], lease_seconds=60)).lost == frozenset()
    assert await adopted(orphans, owner="own_c") == []


async def test_the_task_goes_on_as_it_was_shown(
    orphans: SqlOrphans, attempts: SqlAttempts, database: Database, hold: Hold, living: Sandbox
) -> None:
    await attempts.move(hold, Phase.CODING)
    await attempts.beat("own_a", [hold], lease_seconds=-1)
    (claim,) = await adopted(orphans)
    assert (claim.task.status, claim.task.phase) == (TaskStatus.RUNNING, Phase.CODING)
    last = (await SqlEvents(database=database).after(hold.task_id, 0))[-1]
    assert last.type == "task.taken_over"
    assert last.data == {"status": "running", "takeovers": 1}


async def test_the_former_owner_is_refused(
    orphans: SqlOrphans,
    attempts: SqlAttempts,
    sandboxes: SqlSandboxes,
    make_sandbox: MakeSandbox,
    hold: Hold,
    orphan: Sandbox,
) -> None:
    await adopted(orphans)
    beat = await attempts.beat("own_a", [hold], lease_seconds=60)
    assert beat.lost == {hold}
    assert not await attempts.move(hold, Phase.CODING)
    assert not await attempts.end(hold, DONE)
    assert not await sandboxes.add(hold, make_sandbox(hold))
    assert not await sandboxes.end(hold, orphan.id, "closed")
    row = await sandboxes.get(orphan.id)
    assert row is not None
    assert row.state is SandboxState.LIVE


async def test_other_sandboxes_of_the_attempt_end(
    orphans: SqlOrphans,
    attempts: SqlAttempts,
    sandboxes: SqlSandboxes,
    make_sandbox: MakeSandbox,
    hold: Hold,
    living: Sandbox,
) -> None:
    for other in (make_sandbox(hold, role=SandboxRole.VERIFY), make_sandbox(hold)):
        assert await sandboxes.add(hold, other)
    await attempts.beat("own_a", [hold], lease_seconds=-1)
    (claim,) = await adopted(orphans)
    states = {row.id: row.state for row in await sandboxes.of_task(hold.task_id)}
    assert states.pop(living.id) is SandboxState.LIVE
    assert set(states.values()) == {SandboxState.ENDED}
    assert await sandboxes.end(claim.hold, living.id, "closed")


async def test_logs_that_the_former_owner_sealed_are_open_again(
    orphans: SqlOrphans, database: Database, hold: Hold, orphan: Sandbox
) -> None:
    logs = SqlLogs(database=database, redactor=SecretRedactor([]))
    await logs.append(hold.task_id, orphan.id, "agent", 1, b"one\n")
    assert await logs.seal(hold, "agent") == 4
    await adopted(orphans)
    assert await logs.append(hold.task_id, orphan.id, "agent", 2, b"two\n") == 8
    assert await logs.seal(hold, "agent") is None


@pytest.mark.parametrize(
    "change",
    [
        {"place": "elsewhere"},
        {"life": 2},
        {"most": 0},
        {"limit": 0},
        {"waited_seconds": 60},
        {"released": True},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_what_is_not_for_this_worker_is_left_alone(
    orphans: SqlOrphans, orphan: Sandbox, change: dict[str, Any]
) -> None:
    assert await adopted(orphans, **change) == []


async def test_what_the_caller_holds_is_not_adopted(
    orphans: SqlOrphans, hold: Hold, orphan: Sandbox
) -> None:
    assert await adopted(orphans, owner="own_a", held=[hold.attempt_id]) == []
    # It let go of it without a word, as when the database was away: then it may carry on itself.
    (claim,) = await adopted(orphans, owner="own_a")
    assert claim.hold.fence == 2


async def test_an_owner_that_renews_keeps_its_attempt(
    orphans: SqlOrphans, attempts: SqlAttempts, hold: Hold, orphan: Sandbox
) -> None:
    await attempts.beat("own_a", [hold], lease_seconds=60)
    assert await adopted(orphans) == []


@pytest.mark.parametrize("role", [SandboxRole.BASELINE, SandboxRole.VERIFY])
async def test_only_an_agents_sandbox_is_carried_on_with(
    orphans: SqlOrphans,
    attempts: SqlAttempts,
    sandboxes: SqlSandboxes,
    make_sandbox: MakeSandbox,
    hold: Hold,
    role: SandboxRole,
) -> None:
    row = make_sandbox(hold, role=role)
    await sandboxes.add(hold, row)
    await sandboxes.live(row.id)
    await attempts.beat("own_a", [hold], lease_seconds=-1)
    assert await adopted(orphans) == []


async def test_a_sandbox_that_was_not_made_whole_or_has_ended_is_not_adopted(
    orphans: SqlOrphans,
    attempts: SqlAttempts,
    sandboxes: SqlSandboxes,
    hold: Hold,
    sandbox: Sandbox,
) -> None:
    await attempts.beat("own_a", [hold], lease_seconds=-1)
    assert await adopted(orphans) == []
    await sandboxes.live(sandbox.id)
    await sandboxes.end(hold, sandbox.id, "closed")
    assert await adopted(orphans) == []


async def test_a_cancel_is_heard_in_the_heirs_first_beat(
    orphans: SqlOrphans, attempts: SqlAttempts, database: Database, hold: Hold, orphan: Sandbox
) -> None:
    await SqlTasks(database=database).cancel(hold.task_id, tenant_id=hold.tenant_id)
    (claim,) = await adopted(orphans)
    beat = await attempts.beat("own_b", [claim.hold], lease_seconds=60)
    assert beat.cancelled == {claim.hold}


async def test_workers_and_relays_at_once_take_it_once(
    orphans: SqlOrphans, attempts: SqlAttempts, hold: Hold, orphan: Sandbox
) -> None:
    heirs = [adopted(orphans, owner=f"own_{n}") for n in range(4)]
    relays = [attempts.take_over(grace_seconds=-60, most=3, limit=10) for _ in range(2)]
    adoptions, takeovers = await asyncio.gather(asyncio.gather(*heirs), asyncio.gather(*relays))
    taken = [claim.hold.fence for claims in adoptions for claim in claims]
    taken += [each.fence for holds in takeovers for each in holds]
    assert taken == [2]


async def test_an_adoption_counts_towards_poison(
    orphans: SqlOrphans, attempts: SqlAttempts, database: Database, hold: Hold, orphan: Sandbox
) -> None:
    for fence in (2, 3, 4):
        (claim,) = await adopted(orphans, lease_seconds=-1)
        assert (claim.hold.fence, claim.attempt.takeovers) == (fence, fence - 1)
    assert await adopted(orphans) == []
    await attempts.take_over(grace_seconds=0, most=3, limit=10)
    task = await SqlTasks(database=database).get(hold.task_id, tenant_id=hold.tenant_id)
    assert task.end is not None
    assert task.end.reason is EndReason.POISONED


async def test_a_relay_leaves_a_living_agent_to_workers_for_the_grace(
    attempts: SqlAttempts, hold: Hold, orphan: Sandbox
) -> None:
    assert await attempts.take_over(grace_seconds=60, most=3, limit=10) == []
    assert len(await attempts.take_over(grace_seconds=0, most=3, limit=10)) == 1


async def test_a_relay_does_not_wait_where_nothing_lives(
    attempts: SqlAttempts, hold: Hold, sandbox: Sandbox
) -> None:
    await attempts.beat("own_a", [hold], lease_seconds=-1)
    assert len(await attempts.take_over(grace_seconds=60, most=3, limit=10)) == 1


async def test_what_was_released_is_adopted_at_once_and_counts_no_death(
    orphans: SqlOrphans, attempts: SqlAttempts, hold: Hold, released: Sandbox
) -> None:
    row = await one(attempts, hold)
    assert (row.state, row.owner, row.fence, row.takeovers) == (AttemptState.RUNNING, None, 2, 0)
    (claim,) = await adopted(orphans, released=True)
    assert (claim.hold.fence, claim.attempt.takeovers) == (3, 0)
    assert claim.living == Living(sandbox_id=released.id, fence=1, released=True)
    for fence in range(4, 14, 2):  # as often as workers are restarted
        assert await orphans.release("own_b", [claim.hold]) == [claim.hold]
        (claim,) = await adopted(orphans)
        assert (claim.hold.fence, claim.attempt.takeovers) == (fence + 1, 0)


async def test_who_let_go_of_an_attempt_is_refused(
    orphans: SqlOrphans,
    attempts: SqlAttempts,
    sandboxes: SqlSandboxes,
    make_sandbox: MakeSandbox,
    hold: Hold,
    released: Sandbox,
) -> None:
    assert (await attempts.beat("own_a", [hold], lease_seconds=60)).lost == {hold}
    assert not await attempts.move(hold, Phase.CODING)
    assert not await attempts.end(hold, DONE)
    assert not await sandboxes.add(hold, make_sandbox(hold))
    assert not await sandboxes.end(hold, released.id, "closed")
    assert await orphans.release("own_a", [hold]) == []


async def test_only_its_owner_lets_go_of_an_attempt(
    orphans: SqlOrphans, attempts: SqlAttempts, hold: Hold, orphan: Sandbox
) -> None:
    assert await orphans.release("own_b", [hold]) == []
    (claim,) = await adopted(orphans)
    assert await orphans.release("own_a", [hold]) == []
    assert (await one(attempts, hold)).owner == "own_b"
    assert await attempts.end(claim.hold, DONE)
    assert await orphans.release("own_b", [claim.hold]) == []


async def test_what_has_no_living_agent_is_queued_when_it_is_released(
    orphans: SqlOrphans,
    attempts: SqlAttempts,
    sandboxes: SqlSandboxes,
    database: Database,
    hold: Hold,
    sandbox: Sandbox,
) -> None:
    assert await orphans.release("own_a", [hold]) == [hold]
    row = await one(attempts, hold)
    assert (row.state, row.owner, row.fence, row.takeovers) == (AttemptState.QUEUED, None, 2, 0)
    (ended,) = await sandboxes.of_task(hold.task_id)
    assert (ended.state, ended.end_reason) == (SandboxState.ENDED, "released")
    task = await SqlTasks(database=database).get(hold.task_id, tenant_id=hold.tenant_id)
    assert task.status is TaskStatus.QUEUED
    claim = await attempts.claim(hold.task_id, owner="own_b", lease_seconds=60)
    assert claim is not None
    assert claim.hold.fence == 3


async def test_what_is_to_be_cancelled_ends_when_it_is_released_with_nothing_made(
    orphans: SqlOrphans, database: Database, hold: Hold
) -> None:
    tasks = SqlTasks(database=database)
    await tasks.cancel(hold.task_id, tenant_id=hold.tenant_id)
    assert await orphans.release("own_a", [hold]) == [hold]
    task = await tasks.get(hold.task_id, tenant_id=hold.tenant_id)
    assert task.status is TaskStatus.CANCELLED


async def test_a_relay_leaves_what_was_released_to_its_place_for_a_restart(
    orphans: SqlOrphans, attempts: SqlAttempts, hold: Hold, released: Sandbox
) -> None:
    limits = {"most": 3, "limit": 10}
    assert not await attempts.take_over(grace_seconds=0, restart_seconds=60, **limits)
    (taken,) = await attempts.take_over(grace_seconds=0, restart_seconds=0, **limits)
    assert taken.fence == 3
    row = await one(attempts, hold)
    assert (row.state, row.takeovers) == (AttemptState.QUEUED, 0)


async def test_deaths_are_counted_between_releases(
    orphans: SqlOrphans, attempts: SqlAttempts, hold: Hold, orphan: Sandbox
) -> None:
    for deaths in (1, 2, 3):
        (claim,) = await adopted(orphans)
        assert claim.attempt.takeovers == deaths
        await orphans.release("own_b", [claim.hold])
        (claim,) = await adopted(orphans)  # nobody died, even after the third
        assert claim.attempt.takeovers == deaths
        await attempts.beat("own_b", [claim.hold], lease_seconds=-1)
    assert await adopted(orphans) == []


async def test_what_was_released_and_nobody_takes_is_stuck(
    database: Database, hold: Hold, released: Sandbox
) -> None:
    census = SqlCensus(database=database)
    (found,) = await census.stuck(queued_seconds=0, other_seconds=-1, limit=10)
    assert (found.kind, found.task_id, found.what) == (
        StuckKind.LEASE_EXPIRED,
        hold.task_id,
        "released",
    )
