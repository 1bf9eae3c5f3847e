"""Tenants' quotas, the counts of rows beside them, and the conditions by which caps are kept."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    RowMapping,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import ATTEMPTS, TENANTS
from codexsys_adapters.sql.times import aware
from codexsys_core.errors import NotFound
from codexsys_core.moves import AttemptState
from codexsys_core.principal import Tenant
from codexsys_core.quota import AtCapacity, Load, Quota

_QUEUED, _RUNNING = AttemptState.QUEUED.value, AttemptState.RUNNING.value


def cap(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Return a tenant's cap, or the default given as `default_cap`; NULL where there is none."""
    default = bindparam("default_cap", type_=Integer)
    return func.nullif(func.coalesce(column, default), 0)


def _count(tenant_id: Any, state: str) -> Any:
    # A table of its own: MySQL does not count in a table that the same statement writes to.
    rows = ATTEMPTS.alias(f"{state}_rows")
    counted = select(func.count()).select_from(rows)
    # The state stands in the text: what the driver runs itself has no place for further values.
    in_it = rows.c.state == literal_column(f"'{state}'")
    return counted.where(rows.c.tenant_id == tenant_id, in_it).scalar_subquery()


def queued_of(tenant_id: Any) -> Any:
    """Return the count of a tenant's attempts that wait, as part of a statement."""
    return _count(tenant_id, _QUEUED)


_QUEUED_OF = select(queued_of(bindparam("tenant")))


async def queued(connection: AsyncConnection, tenant_id: str) -> int:
    """Return how many attempts of a tenant wait."""
    return int(await connection.scalar(_QUEUED_OF, {"tenant": tenant_id}) or 0)


async def own_cap_in_turn(connection: AsyncConnection, tenant_id: str) -> int | None:
    """Let submits of a tenant with a cap of its own come one after the other from here on; return the cap."""
    row = select(TENANTS.c.max_queued).where(TENANTS.c.id == tenant_id)
    return (await connection.execute(row.with_for_update())).scalar_one_or_none()


async def keep_cap(connection: AsyncConnection, tenant_id: str, most: int) -> None:
    """Raise `AtCapacity`, which undoes the claim, when it was one too many for its tenant."""
    # Claims for one tenant come one after the other from here on, each seeing those before it.
    await connection.execute(
        select(TENANTS.c.id).where(TENANTS.c.id == tenant_id).with_for_update()
    )
    running = await connection.scalar(select(_count(tenant_id, _RUNNING)))
    if running is not None and running > most:
        raise AtCapacity(tenant_id)


class SqlQuotas:
    """A `QuotaStore` on SQL."""

    def __init__(self, *, database: Database, max_running: int = 0) -> None:
        self._database = database
        self._max_running = max_running

    async def set(self, tenant_id: str, quota: Quota) -> None:
        """Replace a tenant's quota; `NotFound` when there is no such tenant."""
        row = update(TENANTS).where(TENANTS.c.id == tenant_id).values(**quota.model_dump())

        async def statements(connection: AsyncConnection) -> int:
            return int((await connection.execute(row)).rowcount)

        if not await self._database.transact(statements):
            raise NotFound("There is no such tenant.", code="tenant_not_found")

    async def loads(self) -> list[Load]:
        """Return every tenant, by name."""
        counts = {
            "running": _count(TENANTS.c.id, _RUNNING),
            "queued": _count(TENANTS.c.id, _QUEUED),
        }
        named = [count.label(name) for name, count in counts.items()]

        async def statements(connection: AsyncConnection) -> list[Load]:
            rows = await connection.execute(select(TENANTS, *named).order_by(TENANTS.c.name))
            return [_load(row) for row in rows.mappings()]

        return await self._database.look(statements)

    async def room(self) -> Mapping[str, int]:
        """Return how many more attempts each tenant may start that runs some and has a cap."""
        most = cap(TENANTS.c.max_running).label("most")
        running = func.count(ATTEMPTS.c.id).label("running")
        both = ATTEMPTS.outerjoin(TENANTS, TENANTS.c.id == ATTEMPTS.c.tenant_id)
        counted = (
            select(ATTEMPTS.c.tenant_id, most, running)
            .select_from(both)
            .where(ATTEMPTS.c.state == _RUNNING)
            .group_by(ATTEMPTS.c.tenant_id, TENANTS.c.max_running)
        )

        async def statements(connection: AsyncConnection) -> dict[str, int]:
            rows = await connection.execute(counted, {"default_cap": self._max_running})
            return {
                row.tenant_id: max(0, row.most - row.running)
                for row in rows
                if row.most is not None
            }

        return await self._database.look(statements)

    async def weights(self) -> Mapping[str, float]:
        """Return the weights of all tenants that have something queued."""
        queued = select(ATTEMPTS.c.id).where(
            ATTEMPTS.c.tenant_id == TENANTS.c.id, ATTEMPTS.c.state == _QUEUED
        )
        wanted = select(TENANTS.c.id, TENANTS.c.weight).where(queued.exists())

        async def statements(connection: AsyncConnection) -> dict[str, float]:
            return {row.id: row.weight for row in await connection.execute(wanted)}

        return await self._database.look(statements)


def _load(row: RowMapping) -> Load:
    return Load(
        tenant=Tenant(id=row["id"], name=row["name"], created_at=aware(row["created_at"])),
        quota=Quota(**{name: row[name] for name in Quota.model_fields}),
        running=row["running"],
        queued=row["queued"],
    )
