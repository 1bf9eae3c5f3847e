"""Every `Wallet` keeps what the port promises."""

import asyncio

import pytest
from tests.contract.stores.conftest import MakeSandbox

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.spending.wallets import SqlWallet
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_core.attempt import Hold
from codexsys_core.clock import SystemClock
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.limits import Limits
from codexsys_core.outcome import Outcome
from codexsys_core.sandbox import Sandbox
from codexsys_core.task import Usage
from codexsys_core.wallet import Grant, Prices, Refusal

FREE = Prices(input_usd=0, output_usd=0)
DEAR = Prices(input_usd=10, output_usd=100, cached_usd=1)
"""In millionths of a dollar: 10 for an input token, 100 for an output token, 1 for a cached one."""

few_tokens = pytest.mark.parametrize("limits", [Limits(tokens=1000)])
few_calls = pytest.mark.parametrize("limits", [Limits(calls=2)])
little_money = pytest.mark.parametrize("limits", [Limits(cost_usd=0.01)])
unlimited_money = pytest.mark.parametrize("limits", [Limits(cost_usd=None)])
no_money = pytest.mark.parametrize("limits", [Limits(cost_usd=0)])


@pytest.fixture
def wallet(database: Database) -> SqlWallet:
    return SqlWallet(database=database, ids=TimeOrderedIds(), clock=SystemClock())


async def ask(
    wallet: SqlWallet,
    sandbox: Sandbox,
    *,
    reads: int = 100,
    writes: int = 100,
    prices: Prices | None = FREE,
    seconds: float = 60,
) -> Grant | Refusal:
    return await wallet.reserve(
        sandbox, input_tokens=reads, output_tokens=writes, prices=prices, seconds=seconds
    )


async def granted(wallet: SqlWallet, sandbox: Sandbox, **call: object) -> Grant:
    answer = await ask(wallet, sandbox, **call)  # type: ignore[arg-type]
    assert isinstance(answer, Grant)
    return answer


async def test_a_grant_says_what_it_is_for(wallet: SqlWallet, sandbox: Sandbox) -> None:
    grant = await granted(wallet, sandbox, reads=7, writes=9)
    assert (grant.task_id, grant.sandbox_id) == (sandbox.task_id, sandbox.id)
    assert (grant.input_tokens, grant.output_tokens, grant.number) == (7, 9, 1)
    assert (await granted(wallet, sandbox)).number == 2


async def test_what_is_reserved_counts_until_it_is_settled(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    grant = await granted(wallet, sandbox, reads=10, writes=20, prices=DEAR)
    assert await wallet.usage(sandbox.task_id) == Usage(
        calls=1, input_tokens=10, output_tokens=20, cost_usd=0.0021
    )
    await wallet.settle(grant, Usage(input_tokens=8, output_tokens=3, cached_tokens=5))
    used = Usage(calls=1, input_tokens=8, output_tokens=3, cached_tokens=5, cost_usd=0.000335)
    assert await wallet.usage(sandbox.task_id) == used


async def test_settling_twice_is_settling_once(wallet: SqlWallet, sandbox: Sandbox) -> None:
    grant = await granted(wallet, sandbox)
    await wallet.settle(grant, Usage(input_tokens=5, output_tokens=6))
    await wallet.settle(grant, None)
    await wallet.settle(grant, Usage(input_tokens=50, output_tokens=60))
    assert await wallet.usage(sandbox.task_id) == Usage(calls=1, input_tokens=5, output_tokens=6)


async def test_settling_at_once_is_settling_once(wallet: SqlWallet, sandbox: Sandbox) -> None:
    grant = await granted(wallet, sandbox)
    await asyncio.gather(
        *(wallet.settle(grant, Usage(input_tokens=5, output_tokens=6)) for _ in range(8))
    )
    assert await wallet.usage(sandbox.task_id) == Usage(calls=1, input_tokens=5, output_tokens=6)


async def test_without_usage_all_that_was_reserved_is_used(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    grant = await granted(wallet, sandbox, reads=10, writes=20, prices=DEAR)
    await wallet.settle(grant, None)
    assert await wallet.usage(sandbox.task_id) == Usage(
        calls=1, input_tokens=10, output_tokens=20, cost_usd=0.0021
    )


async def test_the_task_shows_what_was_used(
    wallet: SqlWallet, database: Database, sandbox: Sandbox
) -> None:
    grant = await granted(wallet, sandbox, reads=10, writes=20, prices=DEAR)
    await wallet.settle(grant, None)
    task = await SqlTasks(database=database).get(sandbox.task_id, tenant_id=sandbox.tenant_id)
    assert task.usage == await wallet.usage(sandbox.task_id)


@few_tokens
async def test_output_is_capped_to_the_tokens_left(wallet: SqlWallet, sandbox: Sandbox) -> None:
    assert (await granted(wallet, sandbox, reads=300, writes=9000)).output_tokens == 700
    assert await ask(wallet, sandbox, reads=1) == Refusal(code="tokens_exhausted")


@few_tokens
async def test_settling_gives_back_what_was_not_used(wallet: SqlWallet, sandbox: Sandbox) -> None:
    grant = await granted(wallet, sandbox, reads=300, writes=700)
    await wallet.settle(grant, Usage(input_tokens=200, output_tokens=100))
    assert (await granted(wallet, sandbox, reads=300, writes=9000)).output_tokens == 400


@few_tokens
async def test_input_alone_may_be_too_much(wallet: SqlWallet, sandbox: Sandbox) -> None:
    assert await ask(wallet, sandbox, reads=1000) == Refusal(code="tokens_exhausted")
    assert await wallet.usage(sandbox.task_id) == Usage()


@few_calls
async def test_calls_run_out(wallet: SqlWallet, sandbox: Sandbox) -> None:
    for _ in range(2):
        await wallet.settle(await granted(wallet, sandbox), Usage())
    assert await ask(wallet, sandbox) == Refusal(code="calls_exhausted")


@little_money
async def test_output_is_capped_to_the_money_left(wallet: SqlWallet, sandbox: Sandbox) -> None:
    grant = await granted(wallet, sandbox, reads=100, writes=9000, prices=DEAR)
    assert grant.output_tokens == 90
    assert await ask(wallet, sandbox, reads=1, prices=DEAR) == Refusal(code="budget_exhausted")
    await granted(wallet, sandbox, prices=FREE)


@no_money
async def test_without_money_only_free_models_answer(wallet: SqlWallet, sandbox: Sandbox) -> None:
    assert await ask(wallet, sandbox, prices=DEAR) == Refusal(code="budget_exhausted")
    await granted(wallet, sandbox, prices=FREE)


async def test_an_unknown_price_is_refused(wallet: SqlWallet, sandbox: Sandbox) -> None:
    assert await ask(wallet, sandbox, prices=None) == Refusal(code="price_unknown")
    assert await wallet.usage(sandbox.task_id) == Usage()


@unlimited_money
async def test_an_unknown_price_needs_a_task_without_a_limit_of_money(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    grant = await granted(wallet, sandbox, reads=10, writes=20, prices=None)
    await wallet.settle(grant, Usage(input_tokens=5, output_tokens=6))
    assert await wallet.usage(sandbox.task_id) == Usage(calls=1, input_tokens=5, output_tokens=6)
    await granted(wallet, sandbox, prices=DEAR)
    assert await ask(wallet, sandbox, reads=3_000_000, prices=None) == Refusal(
        code="tokens_exhausted"
    )


async def test_what_was_used_is_paid_at_the_price_of_who_answered(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    used, cheap = Usage(input_tokens=5, output_tokens=6), Prices(input_usd=1, output_usd=2)
    grant = await granted(wallet, sandbox, prices=DEAR)
    await wallet.settle(grant, used, prices=cheap)
    assert (await wallet.usage(sandbox.task_id)).cost_usd == 17e-6
    grant = await granted(wallet, sandbox, reads=10, writes=20, prices=DEAR)
    await wallet.settle(grant, None, prices=cheap)  # in full: what was reserved
    assert (await wallet.usage(sandbox.task_id)).cost_usd == 17e-6 + 2100e-6


async def test_an_ended_sandbox_is_refused(
    wallet: SqlWallet, database: Database, hold: Hold, sandbox: Sandbox
) -> None:
    await SqlSandboxes(database=database).end(hold, sandbox.id, "finished")
    assert await ask(wallet, sandbox) == Refusal(code="token_revoked")


async def test_an_unknown_sandbox_is_refused(wallet: SqlWallet, sandbox: Sandbox) -> None:
    unknown = sandbox.model_copy(update={"id": "sbx_nowhere"})
    assert await ask(wallet, unknown) == Refusal(code="token_revoked")


async def test_a_cancelled_task_is_refused(
    wallet: SqlWallet, database: Database, sandbox: Sandbox
) -> None:
    await SqlTasks(database=database).cancel(sandbox.task_id, tenant_id=sandbox.tenant_id)
    assert await ask(wallet, sandbox) == Refusal(code="task_cancelled")
    assert await ask(wallet, sandbox, prices=None) == Refusal(code="task_cancelled")


async def test_what_was_reserved_before_the_end_is_settled_after_it(
    wallet: SqlWallet, database: Database, hold: Hold, sandbox: Sandbox
) -> None:
    grant = await granted(wallet, sandbox)
    await SqlSandboxes(database=database).end(hold, sandbox.id, "finished")
    await wallet.settle(grant, Usage(input_tokens=5, output_tokens=6))
    assert await wallet.usage(sandbox.task_id) == Usage(calls=1, input_tokens=5, output_tokens=6)


async def test_overdue_reservations_are_settled_in_full(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    late = await granted(wallet, sandbox, reads=1, writes=2, seconds=-1)
    await granted(wallet, sandbox, reads=10, writes=20, seconds=60)
    await wallet.settle(await granted(wallet, sandbox, seconds=-1), Usage())
    assert await wallet.settle_overdue(limit=10) == 1
    assert await wallet.settle_overdue(limit=10) == 0
    await wallet.settle(late, Usage(input_tokens=1))
    assert await wallet.usage(sandbox.task_id) == Usage(calls=3, input_tokens=11, output_tokens=22)


async def test_only_so_many_overdue_ones_are_settled_at_once(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    for _ in range(3):
        await granted(wallet, sandbox, seconds=-1)
    assert await wallet.settle_overdue(limit=2) == 2
    assert await wallet.settle_overdue(limit=2) == 1


async def test_a_task_without_a_wallet_is_not_found(wallet: SqlWallet) -> None:
    with pytest.raises(NotFound):
        await wallet.usage("task_nowhere")


@few_tokens
async def test_calls_at_once_never_get_more_than_there_is(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    answers = await asyncio.gather(*(ask(wallet, sandbox, reads=30, writes=100) for _ in range(20)))
    grants = [answer for answer in answers if isinstance(answer, Grant)]
    # Seven whole calls, and the eighth gets what is left.
    assert sum(grant.input_tokens + grant.output_tokens for grant in grants) == 1000
    assert sorted(grant.number for grant in grants) == list(range(1, 9))
    assert {answer for answer in map(str, answers) if "code" in answer} == {
        "code='tokens_exhausted'"
    }


@few_tokens
async def test_two_sandboxes_share_the_wallet(
    wallet: SqlWallet, database: Database, hold: Hold, sandbox: Sandbox
) -> None:
    other = sandbox.model_copy(update={"id": TimeOrderedIds().new("sbx")})
    assert await SqlSandboxes(database=database).add(hold, other)
    await granted(wallet, sandbox, reads=400, writes=500)
    assert (await granted(wallet, other, reads=50, writes=100)).output_tokens == 50
    assert await ask(wallet, sandbox) == Refusal(code="tokens_exhausted")


async def test_reserving_and_settling_at_once_loses_nothing(
    wallet: SqlWallet, sandbox: Sandbox
) -> None:
    async def call(number: int) -> None:
        grant = await granted(wallet, sandbox, reads=10, writes=10, prices=DEAR)
        await wallet.settle(
            grant, Usage(input_tokens=number, output_tokens=1) if number % 2 else None
        )

    await asyncio.gather(*(call(number) for number in range(1, 21)), wallet.settle_overdue(limit=5))
    odd = sum(range(1, 21, 2))
    expected = Usage(
        calls=20,
        input_tokens=odd + 100,
        output_tokens=10 + 100,
        cost_usd=(odd * 10 + 1000 + 110 * 100) / 1e6,
    )
    assert await wallet.usage(sandbox.task_id) == expected


@few_calls
async def test_the_attempts_of_a_task_share_its_wallet(
    wallet: SqlWallet, database: Database, sandbox: Sandbox, hold: Hold, make_sandbox: MakeSandbox
) -> None:
    await granted(wallet, sandbox)
    attempts = SqlAttempts(database=database)
    lost = Outcome(reason=EndReason.SANDBOX_LOST)
    assert await attempts.again(hold, lost, new_attempt_id="att_second", delay_seconds=0)
    claim = await attempts.claim(hold.task_id, owner="own_b", lease_seconds=300)
    assert claim is not None
    second = make_sandbox(claim.hold)
    assert await SqlSandboxes(database=database).add(claim.hold, second)
    assert (await granted(wallet, second)).number == 2
    assert await ask(wallet, second) == Refusal(code="calls_exhausted")
