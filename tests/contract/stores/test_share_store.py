"""Every `ShareStore` keeps what the port promises."""

from datetime import UTC, datetime, timedelta

import pytest

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.shares import SqlShares
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.principal import hash_secret
from codexsys_core.share import Share

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)


@pytest.fixture
def store(database: Database) -> SqlShares:
    return SqlShares(database=database)


def share(number: int, *, task_id: str = "task_1", tenant_id: str = "ten_1") -> Share:
    return Share(
        id=f"shr_{number}",
        task_id=task_id,
        tenant_id=tenant_id,
        token_hash=hash_secret(f"token {number}"),
        parts=("status", "prompt"),
        created_at=MOMENT + timedelta(seconds=number),
        expires_at=MOMENT + timedelta(days=1),
    )


async def test_a_link_is_found_by_its_token(store: SqlShares) -> None:
    await store.add(share(1))
    assert await store.by_token(hash_secret("token 1")) == share(1)
    assert await store.by_token(hash_secret("token 2")) is None


async def test_adding_the_same_link_again_is_no_error(store: SqlShares) -> None:
    await store.add(share(1))
    await store.add(share(1))
    with pytest.raises(Conflict):
        await store.add(share(2).model_copy(update={"token_hash": share(1).token_hash}))
    assert await store.of_task("task_1", tenant_id="ten_1") == [share(1)]


async def test_a_tenant_sees_its_tasks_links_newest_first(store: SqlShares) -> None:
    for number in (2, 3, 1):
        await store.add(share(number))
    await store.add(share(8, task_id="task_2"))
    assert await store.of_task("task_1", tenant_id="ten_1") == [share(3), share(2), share(1)]
    assert await store.of_task("task_1", tenant_id="ten_2") == []


async def test_a_revoked_link_stays_revoked(store: SqlShares) -> None:
    await store.add(share(1))
    await store.revoke("shr_1", tenant_id="ten_1")
    revoked = await store.by_token(share(1).token_hash)
    assert revoked is not None
    assert revoked.revoked_at is not None
    await store.revoke("shr_1", tenant_id="ten_1")
    assert await store.by_token(share(1).token_hash) == revoked


async def test_links_come_in_pages(store: SqlShares) -> None:
    for number in range(5):
        await store.add(share(number))
    first = await store.of_task("task_1", tenant_id="ten_1", limit=3)
    assert [each.id for each in first] == ["shr_4", "shr_3", "shr_2"]
    rest = await store.of_task("task_1", tenant_id="ten_1", limit=3, before="shr_2")
    assert [each.id for each in rest] == ["shr_1", "shr_0"]


@pytest.mark.parametrize(("share_id", "tenant_id"), [("shr_1", "ten_2"), ("shr_2", "ten_1")])
async def test_only_its_tenant_revokes_a_link(
    store: SqlShares, share_id: str, tenant_id: str
) -> None:
    await store.add(share(1))
    with pytest.raises(NotFound):
        await store.revoke(share_id, tenant_id=tenant_id)
    assert await store.by_token(share(1).token_hash) == share(1)
