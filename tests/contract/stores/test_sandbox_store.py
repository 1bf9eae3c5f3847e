"""Every `SandboxStore` keeps what the port promises."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_core.attempt import Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import Conflict
from codexsys_core.outcome import Outcome
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxState

MakeSandbox = Callable[..., Sandbox]


@pytest.fixture
def store(database: Database) -> SqlSandboxes:
    return SqlSandboxes(database=database)


async def test_an_added_row_comes_back_as_it_was(
    store: SqlSandboxes, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(hold, token_hash="a" * 64, role=SandboxRole.VERIFY)
    assert await store.add(hold, sandbox)
    assert await store.get(sandbox.id) == sandbox


async def test_a_row_that_nothing_stands_for_is_never_to_be_cleared_away(
    store: SqlSandboxes, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    row = make_sandbox(hold, role=SandboxRole.PREFLIGHT, token_hash="b" * 64, destroyed_at=now)
    assert await store.add(hold, row)
    assert await store.by_token("b" * 64) == row
    assert await store.undestroyed(row.place) == []
    assert await store.end(hold, row.id, "ready")
    assert await store.by_token("b" * 64) is None
    assert await store.undestroyed(row.place) == []
    (found,) = await store.of_task(hold.task_id)
    assert (found.state, found.end_reason, found.destroyed_at) == (SandboxState.ENDED, "ready", now)


async def test_adding_the_same_row_again_is_no_error(
    store: SqlSandboxes, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(hold)
    assert await store.add(hold, sandbox)
    assert await store.add(hold, sandbox)
    assert await store.of_task(hold.task_id) == [sandbox]


@pytest.mark.parametrize("change", [{"fence": 7}, {"attempt_id": "att_elsewhere"}])
async def test_a_stale_hold_adds_nothing(
    store: SqlSandboxes, hold: Hold, make_sandbox: MakeSandbox, change: dict[str, object]
) -> None:
    sandbox = make_sandbox(hold)
    assert not await store.add(hold.model_copy(update=change), sandbox)
    assert await store.get(sandbox.id) is None


async def test_a_hold_whose_attempt_was_given_back_adds_nothing(
    store: SqlSandboxes, database: Database, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    outcome = Outcome(reason=EndReason.SANDBOX_LOST)
    assert await SqlAttempts(database=database).again(
        hold, outcome, new_attempt_id=None, delay_seconds=0
    )
    assert not await store.add(hold, make_sandbox(hold))


async def test_new_becomes_live_and_stays_so(store: SqlSandboxes, sandbox: Sandbox) -> None:
    assert await store.live(sandbox.id)
    assert await store.live(sandbox.id)
    row = await store.get(sandbox.id)
    assert row is not None
    assert row.state is SandboxState.LIVE


async def test_an_ended_row_never_comes_back(
    store: SqlSandboxes, hold: Hold, sandbox: Sandbox
) -> None:
    await store.end(hold, sandbox.id, "finished")
    await store.end(hold, sandbox.id, "another")
    assert not await store.live(sandbox.id)
    row = await store.get(sandbox.id)
    assert row is not None
    assert (row.state, row.end_reason) == (SandboxState.ENDED, "finished")
    assert row.ended_at is not None


async def test_a_row_that_is_not_there_cannot_live(store: SqlSandboxes) -> None:
    assert not await store.live("sbx_nowhere")
    assert await store.get("sbx_nowhere") is None


async def test_a_token_is_good_until_the_row_ends(
    store: SqlSandboxes, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    sandbox = make_sandbox(hold, token_hash="b" * 64)
    await store.add(hold, sandbox)
    assert await store.by_token("b" * 64) == sandbox
    await store.live(sandbox.id)
    assert await store.by_token("b" * 64) == sandbox.model_copy(update={"state": SandboxState.LIVE})
    await store.end(hold, sandbox.id, "finished")
    assert await store.by_token("b" * 64) is None
    assert await store.by_token("c" * 64) is None


async def test_sandboxes_without_a_token_do_not_collide(
    store: SqlSandboxes, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    begin = datetime(2026, 1, 2, tzinfo=UTC)
    rows = [make_sandbox(hold, created_at=begin + timedelta(seconds=n)) for n in range(3)]
    for row in rows:
        assert await store.add(hold, row)
    assert await store.of_task(hold.task_id) == rows


async def test_a_row_is_destroyed_only_after_it_ended(
    store: SqlSandboxes, hold: Hold, sandbox: Sandbox
) -> None:
    with pytest.raises(Conflict):
        await store.destroyed(sandbox.id)
    await store.end(hold, sandbox.id, "finished")
    assert [row.id for row in await store.undestroyed(sandbox.place)] == [sandbox.id]
    assert await store.undestroyed("elsewhere") == []
    await store.destroyed(sandbox.id)
    await store.destroyed(sandbox.id)
    assert await store.undestroyed(sandbox.place) == []


async def test_a_takeover_and_an_insert_never_leave_a_live_row_of_the_old_fence(
    store: SqlSandboxes, database: Database, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    attempts = SqlAttempts(database=database)
    await attempts.beat("own_a", [hold], lease_seconds=-1)
    rows = [make_sandbox(hold) for _ in range(8)]
    await asyncio.gather(
        *(store.add(hold, row) for row in rows[:4]),
        attempts.take_over(grace_seconds=0, most=3, limit=10),
        *(store.add(hold, row) for row in rows[4:]),
    )
    assert all(row.state is SandboxState.ENDED for row in await store.of_task(hold.task_id))
