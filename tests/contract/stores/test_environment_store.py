"""Every `EnvironmentStore` keeps what the port promises."""

import asyncio
from datetime import UTC, datetime

import pytest

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tenants.environments import SqlEnvironments
from codexsys_core.environment import Environment
from codexsys_core.errors import Conflict, Invalid, NotFound
from codexsys_core.idempotency import Idempotency
from codexsys_core.named_environment import NamedEnvironment

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
PROMISE = Idempotency(key="once", fingerprint="a" * 64)


@pytest.fixture
def store(database: Database) -> SqlEnvironments:
    return SqlEnvironments(database=database)


def named(number: int = 1, name: str = "one", *, tenant: str = "ten_a") -> NamedEnvironment:
    environment = Environment(setup="echo ß 🙂", setup_variables={"TOKEN": "sealed-1.k.x"})
    return NamedEnvironment(
        id=f"env_{number}",
        tenant_id=tenant,
        name=name,
        environment=environment,
        created_at=MOMENT,
        updated_at=MOMENT,
    )


def changed(old: NamedEnvironment, **changes: object) -> NamedEnvironment:
    return old.model_copy(update={"revision": old.revision + 1, **changes})


async def test_it_comes_back_as_it_was(store: SqlEnvironments) -> None:
    assert await store.add(named(name="Größe 🙂")) == named(name="Größe 🙂")
    assert await store.get("env_1", tenant_id="ten_a") == named(name="Größe 🙂")


async def test_another_tenants_is_not_found(store: SqlEnvironments) -> None:
    await store.add(named())
    for attempt in (
        store.get("env_1", tenant_id="ten_b"),
        store.delete("env_1", tenant_id="ten_b"),
        store.replace(changed(named(), tenant_id="ten_b")),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await store.find(tenant_id="ten_b", limit=9) == []
    assert await store.get("env_1", tenant_id="ten_a") == named()


async def test_a_name_is_unique_in_its_tenant(store: SqlEnvironments) -> None:
    await store.add(named())
    with pytest.raises(Conflict) as refused:
        await store.add(named(2))
    assert (refused.value.code, refused.value.fields[0].pointer) == ("environment_exists", "/name")
    await store.add(named(3, tenant="ten_b"))
    await store.add(named(4, "One"))


async def test_one_of_many_at_once_gets_the_name(store: SqlEnvironments) -> None:
    adds = [store.add(named(number)) for number in range(5)]
    answers = await asyncio.gather(*adds, return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 4


async def test_the_same_key_makes_one(store: SqlEnvironments) -> None:
    assert await store.known("ten_a", PROMISE) is None
    adds = [store.add(named(number), PROMISE) for number in range(1, 5)]
    made = await asyncio.gather(*adds)
    assert len({each.id for each in made}) == 1
    assert await store.known("ten_a", PROMISE) == made[0]
    assert await store.known("ten_b", PROMISE) is None


async def test_the_same_key_for_another_request_is_refused(store: SqlEnvironments) -> None:
    await store.add(named(), PROMISE)
    other = PROMISE.model_copy(update={"fingerprint": "b" * 64})
    with pytest.raises(Invalid):
        await store.known("ten_a", other)
    with pytest.raises(Invalid):
        await store.add(named(2, "two"), other)
    assert len(await store.find(tenant_id="ten_a", limit=9)) == 1


async def test_pages_are_newest_first(store: SqlEnvironments) -> None:
    for number in (2, 3, 1):
        await store.add(named(number, f"name {number}"))
    first = await store.find(tenant_id="ten_a", limit=2)
    assert [each.id for each in first] == ["env_3", "env_2"]
    rest = await store.find(tenant_id="ten_a", limit=2, before="env_2")
    assert [each.id for each in rest] == ["env_1"]
    found = await store.find(tenant_id="ten_a", limit=2, name="name 2")
    assert [each.id for each in found] == ["env_2"]


async def test_only_the_next_revision_is_written(store: SqlEnvironments) -> None:
    await store.add(named())
    second = changed(named(), name="other")
    assert await store.replace(second)
    assert await store.replace(second)  # an unknown answer, asked again
    assert not await store.replace(changed(named(), name="late"))
    assert not await store.replace(changed(changed(second), name="early"))
    assert await store.get("env_1", tenant_id="ten_a") == second


async def test_one_of_many_changes_at_once_wins(store: SqlEnvironments) -> None:
    await store.add(named())
    changes = [store.replace(changed(named(), name=f"name {number}")) for number in range(5)]
    assert sum(await asyncio.gather(*changes)) == 1


async def test_a_taken_name_is_refused_in_a_change_too(store: SqlEnvironments) -> None:
    await store.add(named())
    await store.add(named(2, "two"))
    with pytest.raises(Conflict):
        await store.replace(changed(named(), name="two"))


async def test_what_is_deleted_is_gone(store: SqlEnvironments) -> None:
    await store.add(named(), PROMISE)
    await store.delete("env_1", tenant_id="ten_a")
    for attempt in (
        store.get("env_1", tenant_id="ten_a"),
        store.delete("env_1", tenant_id="ten_a"),
        store.replace(changed(named())),
        store.known("ten_a", PROMISE),
    ):
        with pytest.raises(NotFound):
            await attempt
    await store.add(named(2))
