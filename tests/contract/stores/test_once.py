"""Whatever is made with an Idempotency-Key is made once, in every store that takes one."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.shares import SqlShares
from codexsys_adapters.sql.tables import IDEMPOTENCY
from codexsys_adapters.sql.tenants.environments import SqlEnvironments
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_adapters.sql.times import after_sql
from codexsys_core.environment import Environment
from codexsys_core.errors import Conflict, Invalid
from codexsys_core.idempotency import Idempotency
from codexsys_core.named_environment import NamedEnvironment
from codexsys_core.principal import ApiKey, hash_secret
from codexsys_core.share import Share

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
PROMISE = Idempotency(key="once", fingerprint="a" * 64)
OTHER = Idempotency(key="once", fingerprint="b" * 64)
Make = Callable[..., Awaitable[Any]]


def share(number: int, tenant: str) -> Share:
    return Share(
        id=f"shr_{number}",
        task_id="task_1",
        tenant_id=tenant,
        token_hash=hash_secret(f"token {number}"),
        created_at=MOMENT,
        expires_at=MOMENT + timedelta(days=1),
    )


def api_key(number: int, tenant: str) -> ApiKey:
    return ApiKey(
        id=f"key_{number}",
        tenant_id=tenant,
        name="ci",
        secret_hash=hash_secret(f"secret {number}"),
        created_at=MOMENT,
    )


def environment(number: int, tenant: str) -> NamedEnvironment:
    return NamedEnvironment(
        id=f"env_{number}",
        tenant_id=tenant,
        name=f"one {number}",
        environment=Environment(),
        created_at=MOMENT,
        updated_at=MOMENT,
    )


@pytest.fixture(params=["share", "key", "environment"])
def make(request: pytest.FixtureRequest, database: Database) -> Make:
    """Make the n-th thing of a tenant, with a promise or without."""
    add: dict[str, tuple[Any, Any, dict[str, str]]] = {
        "share": (SqlShares(database=database).add, share, {"id": "shr_9"}),
        "key": (SqlKeys(database=database).add_key, api_key, {"secret_hash": "f" * 64}),
        "environment": (SqlEnvironments(database=database).add, environment, {"id": "env_9"}),
    }
    store, noun, clash = add[request.param]

    async def making(
        number: int,
        promise: Idempotency | None = PROMISE,
        *,
        tenant: str = "ten_a",
        clashing: bool = False,
    ) -> Any:
        changes = clash if clashing else {}
        return await store(noun(number, tenant).model_copy(update=changes), promise)

    return making


async def test_a_known_promise_gives_what_was_made_with_it(make: Make) -> None:
    first = await make(1)
    assert first.id.endswith("_1")
    assert await make(2) == first
    assert await make(1) == first
    assert (await make(3, None)).id.endswith("_3")


async def test_of_many_at_once_one_is_made_and_all_get_it(make: Make) -> None:
    made = await asyncio.gather(*(make(number) for number in range(8)))
    assert len({each.id for each in made}) == 1


async def test_a_promise_is_of_one_request_and_one_tenant(make: Make) -> None:
    await make(1)
    with pytest.raises(Invalid) as refused:
        await make(2, OTHER)
    assert refused.value.code == "idempotency_mismatch"
    assert (await make(2, OTHER, tenant="ten_b")).id.endswith("_2")


async def test_a_promise_lasts_for_a_day(make: Make, database: Database) -> None:
    await make(1)
    async with database.write() as connection:
        row = update(IDEMPOTENCY).values(created_at=after_sql(-24 * 3600 - 1))
        await connection.execute(row)
    assert (await make(2, OTHER)).id.endswith("_2")
    assert (await make(3, OTHER)).id.endswith("_2")


async def test_what_could_not_be_made_leaves_its_promise_free(
    make: Make, database: Database
) -> None:
    await make(1, None)
    with pytest.raises(Conflict):
        await make(1, PROMISE, clashing=True)
    async with database.read() as connection:
        assert (await connection.execute(select(IDEMPOTENCY))).all() == []
    assert (await make(2)).id.endswith("_2")
