"""Every `Wallet` keeps what a tenant may spend in a day, over all of its tasks."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from tests.contract.stores.conftest import MakeSandbox, MakeTask

from codexsys_adapters.sql.attempts.sandboxes import SqlSandboxes
from codexsys_adapters.sql.attempts.store import SqlAttempts
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.spending.wallets import SqlWallet
from codexsys_adapters.sql.tasks.store import SqlTasks
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_adapters.sql.tenants.quotas import SqlQuotas
from codexsys_core.ids import TimeOrderedIds
from codexsys_core.limits import Limits
from codexsys_core.principal import Tenant
from codexsys_core.quota import Quota
from codexsys_core.sandbox import Sandbox
from codexsys_core.task import Usage
from codexsys_core.wallet import DayLimits, Grant, Prices, Refusal

DEAR = Prices(input_usd=10, output_usd=100)
"""In millionths of a dollar: 10 for an input token, 100 for an output token."""
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that is set."""

    moment: datetime = NOON

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


@dataclass
class Tenancy:
    """A wallet, and sandboxes of as many tasks as are wanted."""

    database: Database
    wallet: SqlWallet
    clock: Clock
    make_task: MakeTask
    make_sandbox: MakeSandbox

    async def sandbox(self, tenant: str = "ten_a", **limits: object) -> Sandbox:
        task, attempt = self.make_task(tenant=tenant, limits=Limits.model_validate(limits))
        await SqlTasks(database=self.database).add(task, attempt)
        attempts = SqlAttempts(database=self.database)
        claim = await attempts.claim(task.id, owner="own_a", lease_seconds=300)
        assert claim is not None
        row = self.make_sandbox(claim.hold)
        assert await SqlSandboxes(database=self.database).add(claim.hold, row)
        return row

    async def ask(
        self, sandbox: Sandbox, reads: int = 100, writes: int = 100, prices: Prices | None = DEAR
    ) -> Grant | Refusal:
        return await self.wallet.reserve(
            sandbox, input_tokens=reads, output_tokens=writes, prices=prices, seconds=60
        )

    async def granted(self, sandbox: Sandbox, reads: int = 100, writes: int = 100) -> Grant:
        answer = await self.ask(sandbox, reads, writes)
        assert isinstance(answer, Grant)
        return answer


@pytest.fixture
def limits_of_days() -> DayLimits:
    return DayLimits(max_usd_per_day=0.05, max_tokens_per_day=1000)


@pytest.fixture
async def tenancy(
    database: Database,
    make_task: MakeTask,
    make_sandbox: MakeSandbox,
    limits_of_days: DayLimits,
) -> Tenancy:
    keys, clock = SqlKeys(database=database), Clock()
    for name in ("a", "b"):
        await keys.add_tenant(Tenant(id=f"ten_{name}", name=name, created_at=NOON))
    wallet = SqlWallet(database=database, ids=TimeOrderedIds(), clock=clock, limits=limits_of_days)
    return Tenancy(database, wallet, clock, make_task, make_sandbox)


async def test_tasks_of_a_tenant_share_its_day(tenancy: Tenancy) -> None:
    first, second, other = [await tenancy.sandbox(t) for t in ("ten_a", "ten_a", "ten_b")]
    await tenancy.granted(first, writes=400)  # 41,000 of 50,000 millionths
    grant = await tenancy.granted(second, writes=400)
    assert grant.output_tokens == 80, "what is left of the day is less than was asked for"
    assert await tenancy.ask(first, reads=1) == Refusal(code="day_budget_exhausted")
    assert (await tenancy.wallet.usage(first.task_id)).calls == 1, "a refused call is none"
    assert (await tenancy.granted(other, writes=400)).output_tokens == 400


async def test_what_was_reserved_and_not_used_is_there_again(tenancy: Tenancy) -> None:
    sandbox = await tenancy.sandbox()
    grant = await tenancy.granted(sandbox, writes=490)
    assert await tenancy.ask(sandbox) == Refusal(code="day_budget_exhausted")
    await tenancy.wallet.settle(grant, Usage(input_tokens=100, output_tokens=40))
    await tenancy.wallet.settle(grant, None)
    today = await tenancy.wallet.today("ten_a")
    assert (today.calls, today.tokens, today.cost_usd) == (1, 140, 0.005)
    assert (today.day, today.limit_tokens, today.limit_usd) == (NOON.date(), 1000, 0.05)
    assert (await tenancy.granted(sandbox, writes=300)).output_tokens == 300


async def test_what_a_task_may_not_is_not_on_the_day(tenancy: Tenancy) -> None:
    sandbox = await tenancy.sandbox(calls=1)
    await tenancy.granted(sandbox)
    assert await tenancy.ask(sandbox) == Refusal(code="calls_exhausted")
    today = await tenancy.wallet.today("ten_a")
    assert (today.calls, today.tokens) == (1, 200)


async def test_tokens_of_a_day_run_out(tenancy: Tenancy) -> None:
    free = Prices(input_usd=0, output_usd=0)
    sandbox, other = await tenancy.sandbox(), await tenancy.sandbox()
    assert isinstance(await tenancy.ask(sandbox, 500, 300, free), Grant)
    capped = await tenancy.ask(other, 100, 300, free)
    assert isinstance(capped, Grant)
    assert capped.output_tokens == 100
    assert await tenancy.ask(other, 1, 1, free) == Refusal(code="day_tokens_exhausted")


async def test_a_new_day_is_a_full_one_and_the_old_one_is_paid(tenancy: Tenancy) -> None:
    sandbox = await tenancy.sandbox()
    late = await tenancy.granted(sandbox, writes=490)
    tenancy.clock.moment += timedelta(hours=12)
    assert (await tenancy.granted(sandbox, writes=490)).output_tokens == 490
    await tenancy.wallet.settle(late, Usage(input_tokens=1, output_tokens=1))
    assert (await tenancy.wallet.today("ten_a")).tokens == 590
    tenancy.clock.moment -= timedelta(hours=12)
    assert (await tenancy.wallet.today("ten_a")).tokens == 2


async def test_a_tenants_own_limits_go_before_and_hold_at_once(tenancy: Tenancy) -> None:
    sandbox, quotas = await tenancy.sandbox(), SqlQuotas(database=tenancy.database)
    await quotas.set("ten_a", Quota(max_usd_per_day=0.002, max_tokens_per_day=0))
    assert (await tenancy.granted(sandbox)).output_tokens == 10
    today = await tenancy.wallet.today("ten_a")
    assert (today.limit_usd, today.limit_tokens) == (0.002, None)
    await quotas.set("ten_a", Quota(max_usd_per_day=0, max_tokens_per_day=5000))
    assert (await tenancy.granted(sandbox, writes=4000)).output_tokens == 4000


async def test_under_a_days_limit_of_money_an_unknown_price_is_refused(tenancy: Tenancy) -> None:
    sandbox = await tenancy.sandbox(cost_usd=None)
    assert await tenancy.ask(sandbox, prices=None) == Refusal(code="price_unknown")
    quotas = SqlQuotas(database=tenancy.database)
    await quotas.set("ten_a", Quota(max_usd_per_day=0))
    assert isinstance(await tenancy.ask(sandbox, prices=None), Grant)


@pytest.mark.parametrize("limits_of_days", [DayLimits()])
async def test_without_limits_days_are_counted_all_the_same(tenancy: Tenancy) -> None:
    sandbox = await tenancy.sandbox(cost_usd=None)
    assert (await tenancy.wallet.today("ten_a")).calls == 0
    await tenancy.granted(sandbox)
    today = await tenancy.wallet.today("ten_a")
    assert (today.calls, today.tokens, today.cost_usd) == (1, 200, 0.011)
    assert (today.limit_usd, today.limit_tokens) == (None, None)


async def test_calls_at_once_never_pass_the_day(tenancy: Tenancy) -> None:
    sandboxes = [await tenancy.sandbox() for _ in range(4)]

    async def call(number: int) -> None:
        answer = await tenancy.ask(sandboxes[number % 4], reads=20, writes=80)
        if isinstance(answer, Grant):
            used = Usage(input_tokens=20, output_tokens=answer.output_tokens)
            await tenancy.wallet.settle(answer, used if number % 2 else None)

    await asyncio.gather(*(call(number) for number in range(24)))
    today = await tenancy.wallet.today("ten_a")
    assert 0.049 <= today.cost_usd <= 0.05
    usages = [await tenancy.wallet.usage(each.task_id) for each in sandboxes]
    assert sum(each.calls for each in usages) == today.calls
    assert sum(each.cost_usd for each in usages) == pytest.approx(today.cost_usd)
    assert sum(each.input_tokens + each.output_tokens for each in usages) == today.tokens
