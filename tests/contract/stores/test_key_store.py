"""Every `KeyStore` keeps what the port promises."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tenants.keys import SqlKeys
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.principal import ApiKey, Scope, Tenant, hash_secret

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.fixture
def store(database: Database) -> SqlKeys:
    return SqlKeys(database=database)


def tenant(number: int, name: str) -> Tenant:
    return Tenant(id=f"ten_{number}", name=name, created_at=MOMENT)


def api_key(number: int, *, tenant_id: str = "ten_1") -> ApiKey:
    return ApiKey(
        id=f"key_{number}",
        tenant_id=tenant_id,
        name=f"key {number}",
        secret_hash=hash_secret(f"secret {number}"),
        created_at=MOMENT + timedelta(seconds=number),
    )


async def test_a_tenant_is_found_by_its_name(store: SqlKeys) -> None:
    await store.add_tenant(tenant(1, "Größe 🙂"))
    assert await store.tenant_named("Größe 🙂") == tenant(1, "Größe 🙂")
    assert await store.tenant_named("nobody") is None
    assert await store.tenant(tenant(1, "").id) == tenant(1, "Größe 🙂")
    assert await store.tenant(tenant(2, "").id) is None


async def test_the_first_tenant_stays_the_first(store: SqlKeys) -> None:
    assert await store.first_tenant() is None
    later = tenant(1, "one").model_copy(update={"created_at": MOMENT + timedelta(seconds=1)})
    await store.add_tenant(later)
    assert await store.first_tenant() == later
    await store.add_tenant(tenant(2, "two"))
    assert await store.first_tenant() == tenant(2, "two")
    await store.add_tenant(tenant(3, "three"))
    assert await store.first_tenant() == tenant(2, "two")


async def test_names_of_tenants_are_unique(store: SqlKeys) -> None:
    await store.add_tenant(tenant(1, "one"))
    await store.add_tenant(tenant(1, "one"))
    with pytest.raises(Conflict):
        await store.add_tenant(tenant(2, "one"))
    assert await store.tenant_named("one") == tenant(1, "one")


async def test_one_of_many_at_once_gets_the_name(store: SqlKeys) -> None:
    adds = [store.add_tenant(tenant(number, "one")) for number in range(6)]
    answers = await asyncio.gather(*adds, return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 5
    assert sum(answer is None for answer in answers) == 1


async def test_a_key_comes_back_as_it_was(store: SqlKeys) -> None:
    await store.add_key(api_key(1))
    await store.add_key(api_key(1))
    assert await store.key("key_1") == api_key(1)
    assert await store.key("key_2") is None


async def test_a_keys_id_belongs_to_one_secret(store: SqlKeys) -> None:
    await store.add_key(api_key(1))
    with pytest.raises(Conflict):
        await store.add_key(api_key(1).model_copy(update={"secret_hash": "f" * 64}))
    assert await store.key("key_1") == api_key(1)


async def test_a_tenant_sees_its_own_keys_newest_first(store: SqlKeys) -> None:
    for number in (2, 3, 1):
        await store.add_key(api_key(number))
    await store.add_key(api_key(9, tenant_id="ten_2"))
    assert await store.keys("ten_1") == [api_key(3), api_key(2), api_key(1)]
    assert await store.keys("ten_3") == []


async def test_keys_come_in_pages(store: SqlKeys) -> None:
    for number in range(5):
        await store.add_key(api_key(number))
    first = await store.keys("ten_1", limit=3)
    assert [key.id for key in first] == ["key_4", "key_3", "key_2"]
    rest = await store.keys("ten_1", limit=3, before="key_2")
    assert [key.id for key in rest] == ["key_1", "key_0"]


async def test_a_key_is_renamed_and_its_scope_changed(store: SqlKeys) -> None:
    await store.add_key(api_key(1))
    assert api_key(1).scope is Scope.ADMIN
    renamed = await store.change("key_1", tenant_id="ten_1", name="Größe")
    assert renamed == api_key(1).model_copy(update={"name": "Größe"})
    lowered = await store.change("key_1", tenant_id="ten_1", scope=Scope.READ)
    assert lowered == renamed.model_copy(update={"scope": Scope.READ})
    assert await store.change("key_1", tenant_id="ten_1") == await store.key("key_1") == lowered


async def test_only_its_tenant_changes_a_key(store: SqlKeys) -> None:
    await store.add_key(api_key(1))
    with pytest.raises(NotFound):
        await store.change("key_1", tenant_id="ten_2", name="mine now")
    assert await store.key("key_1") == api_key(1)


async def test_a_revoked_key_stays_revoked(store: SqlKeys) -> None:
    await store.add_key(api_key(1))
    await store.revoke("key_1", tenant_id="ten_1")
    revoked = await store.key("key_1")
    assert revoked is not None
    assert revoked.revoked_at is not None
    await store.revoke("key_1", tenant_id="ten_1")
    assert await store.key("key_1") == revoked
    assert await store.keys("ten_1") == [revoked]


@pytest.mark.parametrize(("key_id", "tenant_id"), [("key_1", "ten_2"), ("key_2", "ten_1")])
async def test_only_its_tenant_revokes_a_key(store: SqlKeys, key_id: str, tenant_id: str) -> None:
    await store.add_key(api_key(1))
    with pytest.raises(NotFound):
        await store.revoke(key_id, tenant_id=tenant_id)
    assert await store.key("key_1") == api_key(1)
