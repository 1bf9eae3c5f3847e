"""Every `Orphans` keeps what the port promises: expired attempts go to who can reach their agent."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from codexsys_adapters.sql.adoption import SqlOrphans
from codexsys_adapters.sql.attempts import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.events import SqlEvents
from codexsys_adapters.sql.logs import SqlLogs
from codexsys_adapters.sql.sandboxes import SqlSandboxes
from codexsys_adapters.sql.tasks import SqlTasks
from codexsys_core.attempt import Claim, Ending, Hold, Living
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
def attempts(database: Database) -> SqlAttempts:
    return SqlAttempts(database=database)


@pytest.fixture
def sandboxes(database: Database) -> SqlSandboxes:
    return SqlSandboxes(database=database)


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


async def adopted(
    orphans: SqlOrphans, *, owner: str = "own_b", place: str = "here", **more: object
) -> list[Claim]:
    given = {"held": [], "lease_seconds": 60.0, "most": 3, "limit": 10, **more}
    return await orphans.adopt(owner, place, **given)  # type: ignore[arg-type]


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
    "change", [{"place": "elsewhere"}, {"most": 0}, {"limit": 0}], ids=["place", "most", "limit"]
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
