"""Money is a wall: endpoints that fail, agents that hang up, gateways killed in mid-call, and attempt after attempt.

`CODEXSYS_MONEY_RUNS` says how many tasks (24 unless told otherwise), `CODEXSYS_MONEY_SEED` by which seed.
"""

import asyncio
import contextlib
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from sqlalchemy import text
from tests.support.distributed import Fleet
from tests.support.doors import agents_sandbox, row_of
from tests.support.metered_model import MeteredModel
from tests.support.models_file import models_file

from codexsys_adapters.sql.engine import Database
from codexsys_core.attempt import Hold
from codexsys_core.end_reasons import EndReason
from codexsys_core.limits import Limits
from codexsys_core.outcome import Outcome
from codexsys_core.principal import Tenant
from codexsys_core.quota import Quota
from codexsys_core.sandbox import SandboxRole
from codexsys_wiring.platform import Platform, open_platform
from codexsys_wiring.settings import Settings

RUNS = int(os.environ.get("CODEXSYS_MONEY_RUNS", "24"))
SEED = int(os.environ.get("CODEXSYS_MONEY_SEED", "1"))
pytestmark = [pytest.mark.stack, pytest.mark.chaos, pytest.mark.timeout(300 + 5 * RUNS)]

AT_ONCE = 8
"""Tasks."""
PARALLEL = 3
"""Calls of one task."""
MOST_OUTPUT = 40
MOST_ROUNDS = 30
MILLION = 1_000_000
INPUT_PRICE, OUTPUT_PRICE = 1000, 2000
"""Millionths of a dollar for a token."""
LIMITS = (
    Limits(cost_usd=0.8, calls=1000, attempts=10),
    Limits(cost_usd=2.5, calls=1000, attempts=10),
    Limits(cost_usd=1000, calls=9, attempts=10),
    Limits(cost_usd=1000, tokens=900, calls=1000, attempts=10),
    Limits(cost_usd=1000, calls=1000, attempts=10),
)
EXHAUSTED = {"budget_exhausted", "calls_exhausted", "tokens_exhausted", "day_budget_exhausted"}
THRIFTY = "tnt_thrifty"
"""Whose tasks, those with the last of the limits, share the money of a day."""
DAY_USD = 0.8 * max(1, RUNS // len(LIMITS))
SUMS = text("""SELECT
 (SELECT CONCAT_WS(' ', SUM(calls), SUM(input_tokens + output_tokens + reserved_tokens), SUM(micros + reserved_micros)) FROM wallets),
 (SELECT CONCAT_WS(' ', SUM(calls), SUM(tokens + reserved_tokens), SUM(micros + reserved_micros)) FROM tenant_days),
 (SELECT MAX(micros + reserved_micros) FROM tenant_days WHERE tenant_id = :thrifty)""")


@dataclass
class Money:
    """Gateways that die, the endpoint that they pay, and the rows."""

    fleet: Fleet
    model: MeteredModel
    platform: Platform
    client: httpx2.AsyncClient
    random: random.Random
    ends: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    resumes: int = 0


@pytest_asyncio.fixture
async def money(tmp_path: Path) -> AsyncIterator[Money]:
    with MeteredModel(seed=SEED, input_price=INPUT_PRICE, output_price=OUTPUT_PRICE) as model:
        price = {"input_usd": INPUT_PRICE, "output_usd": OUTPUT_PRICE, "output_tokens": MOST_OUTPUT}
        upstreams = [
            {"name": name, "url": model.url, "idle_seconds": 0.4, "models": {"m": price}}
            for name in ("one", "two")
        ]
        settings = {"CODEXSYS_MODELS_FILE": str(models_file(tmp_path, upstreams))}
        fleet = Fleet(folder=tmp_path / "fleet", redis_number=7, settings=settings)
        async with fleet, httpx2.AsyncClient(trust_env=False, timeout=20) as client:
            await asyncio.gather(*(fleet.start("gateway", n) for n in (1, 2)))
            ours = Settings(
                data_dir=tmp_path / "rows",
                database_url=fleet.servers.database,
                store_url=f"file://{tmp_path / 'objects'}",
            )
            async with open_platform(ours) as platform:
                await platform.keys.add_tenant(
                    Tenant(id=THRIFTY, name=THRIFTY, created_at=platform.clock.now())
                )
                await platform.quotas.set(THRIFTY, Quota(max_usd_per_day=DAY_USD))
                yield Money(fleet, model, platform, client, random.Random(SEED))


async def test_no_task_spends_more_than_it_may(money: Money) -> None:
    room = asyncio.Semaphore(AT_ONCE)
    killing = asyncio.create_task(_kill_gateways(money))
    tasks = await asyncio.gather(*(_run(money, n, room) for n in range(RUNS)))
    killing.cancel()
    await asyncio.gather(killing, return_exceptions=True)
    print(f"\nmoney: {RUNS} tasks, seed {SEED}: {money.kills} gateways killed, {money.resumes} resumes, "
          f"ends {dict(money.ends)}, the endpoint met {dict(money.model.met)}")  # fmt: skip
    for task_id, limits in tasks:
        await _judge(money, task_id, limits)
    await _judge_days(money)
    assert money.kills
    assert money.resumes
    assert set(money.ends) >= (EXHAUSTED if RUNS >= 24 else set())


async def _judge(money: Money, task_id: str, limits: Limits) -> None:
    """What the endpoint would bill is what the task knows of, and that is within its limits."""
    usage = await money.platform.wallet.usage(task_id)
    billed = money.model.billed[task_id] / MILLION
    assert limits.cost_usd is not None
    assert billed <= usage.cost_usd + 1e-9, f"{task_id}: not all that was spent is counted"
    assert usage.cost_usd <= limits.cost_usd + 1e-9
    assert usage.input_tokens + usage.output_tokens <= limits.tokens
    assert money.model.paid_calls[task_id] <= usage.calls <= limits.calls


async def _judge_days(money: Money) -> None:
    """All that tasks used is on their tenants' days, at any moment, and no day has more than it may."""
    url = money.fleet.servers.database
    async with Database(url, pool_size=1) as database, database.read() as connection:
        row = (await connection.execute(SUMS, {"thrifty": THRIFTY})).one()
    assert row[0] == row[1]
    assert 0 < row[2] <= DAY_USD * MILLION


async def _run(money: Money, number: int, room: asyncio.Semaphore) -> tuple[str, Limits]:
    """Call as a careless agent would, attempt after attempt, until the wallet is empty."""
    limits = LIMITS[number % len(LIMITS)]
    async with room:
        token = f"token-{number}-0"
        tenant = THRIFTY if limits is LIMITS[-1] else "tnt_doors"
        hold, sandbox = await agents_sandbox(
            money.platform, limits, model="m", token=token, tenant=tenant
        )
        for turn in range(1, MOST_ROUNDS + 1):
            codes = await asyncio.gather(
                *(_call(money, token, sandbox.task_id) for _ in range(PARALLEL))
            )
            if found := EXHAUSTED & set(codes):
                money.ends[found.pop()] += 1
                break
            if money.random.random() < 0.2 and hold.number < limits.attempts:
                hold = await _again(money, hold, f"token-{number}-{turn}")
                assert await _call(money, token, sandbox.task_id) in ("token_revoked", "away")
                token = f"token-{number}-{turn}"
                money.resumes += 1
        return sandbox.task_id, limits


async def _call(money: Money, token: str, task_id: str) -> str:
    """Make one call, at either gateway; return its error's code, or what else became of it."""
    words = "x" * money.random.randint(1, 200)
    body: dict[str, Any] = {
        "messages": [{"role": "user", "content": f"{task_id} {words}"}],
        "max_tokens": money.random.randint(5, 2 * MOST_OUTPUT),
        "stream": money.random.random() < 0.7,
    }
    patience = 0.1 if money.random.random() < 0.1 else 20.0
    url = f"http://127.0.0.1:{money.fleet.port(f'gateway-{money.random.randint(1, 2)}')}"
    with contextlib.suppress(httpx2.TransportError):
        answer = await money.client.post(
            f"{url}/v1/chat/completions",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=patience,
        )
        if answer.status_code != 200:
            return str(answer.json()["error"]["code"])
        return "answered"
    return "away"


async def _again(money: Money, hold: Hold, token: str) -> Hold:
    """Lose the sandbox, and go on with the next attempt in a new one."""
    platform = money.platform
    lost = Outcome(reason=EndReason.SANDBOX_LOST)
    new = platform.ids.new("att")
    assert await platform.attempts.again(hold, lost, new_attempt_id=new, delay_seconds=0)
    claim = await platform.attempts.claim(hold.task_id, owner="wrk_x", lease_seconds=300)
    assert claim is not None
    row = row_of(platform, claim.hold, role=SandboxRole.AGENT, token=token)
    assert await platform.sandboxes.add(claim.hold, row)
    assert await platform.sandboxes.live(row.id)
    return claim.hold


async def _kill_gateways(money: Money) -> None:
    """One after the other, with whatever calls are under way; the other one goes on."""
    for turn in range(10_000):
        victim = next(
            each for each in money.fleet.named("gateway") if each.name.endswith(str(1 + turn % 2))
        )
        await asyncio.sleep(money.random.uniform(0.1, 0.6))
        victim.kill()
        money.kills += 1
        await money.fleet.until_ready(money.fleet.again(victim.name))
