"""Environments by name."""

from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import ENVIRONMENTS
from codexsys_adapters.sql.tenants.idempotency import made_with, once
from codexsys_adapters.sql.times import aware, naive
from codexsys_core.environment import Environment
from codexsys_core.errors import Conflict, FieldError, NotFound
from codexsys_core.idempotency import Idempotency
from codexsys_core.named_environment import NamedEnvironment


class SqlEnvironments:
    """An `EnvironmentStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(
        self, named: NamedEnvironment, idempotency: Idempotency | None = None
    ) -> NamedEnvironment:
        """Insert it; a known key gives what was made with it."""

        async def statements(connection: AsyncConnection) -> None:
            await connection.execute(insert(ENVIRONMENTS).values(**_values(named)))

        tenant_id = named.tenant_id
        try:
            made = await once(self._database, tenant_id, named.id, idempotency, statements)
        except IntegrityError as error:
            stored = await self._by_name(named)
            if stored is None or stored.id != named.id:
                raise _taken(named.name) from error
            return stored
        return named if made == named.id else await self.get(made, tenant_id=tenant_id)

    async def known(self, tenant_id: str, idempotency: Idempotency) -> NamedEnvironment | None:
        """Return what was made with this key in the last 24 hours."""

        async def statements(connection: AsyncConnection) -> NamedEnvironment | None:
            made = await made_with(connection, tenant_id, idempotency)
            return None if made is None else await _read(connection, made, tenant_id)

        return await self._database.look(statements)

    async def get(self, environment_id: str, *, tenant_id: str) -> NamedEnvironment:
        """Return one."""
        return await self._database.look(
            lambda connection: _read(connection, environment_id, tenant_id)
        )

    async def find(
        self, *, tenant_id: str, limit: int, before: str | None = None, name: str | None = None
    ) -> list[NamedEnvironment]:
        """Return up to `limit` of them, newest first."""
        wanted = select(ENVIRONMENTS).where(ENVIRONMENTS.c.tenant_id == tenant_id)
        if before is not None:
            wanted = wanted.where(ENVIRONMENTS.c.id < before)
        if name is not None:
            wanted = wanted.where(ENVIRONMENTS.c.name == name)
        wanted = wanted.order_by(ENVIRONMENTS.c.id.desc()).limit(limit)

        async def statements(connection: AsyncConnection) -> list[NamedEnvironment]:
            return [_named(row) for row in (await connection.execute(wanted)).mappings()]

        return await self._database.look(statements)

    async def replace(self, named: NamedEnvironment) -> bool:
        """Write it over the revision before; an unknown answer is read back by the row itself."""
        same = (ENVIRONMENTS.c.id == named.id) & (ENVIRONMENTS.c.tenant_id == named.tenant_id)

        async def statements(connection: AsyncConnection) -> bool:
            write = update(ENVIRONMENTS).where(same, ENVIRONMENTS.c.revision == named.revision - 1)
            if (await connection.execute(write.values(**_values(named)))).rowcount == 1:
                return True
            # Sealed values are never twice the same, so an equal row is one that we wrote.
            return await _read(connection, named.id, named.tenant_id) == named

        try:
            return await self._database.transact(statements)
        except IntegrityError as error:
            raise _taken(named.name) from error

    async def delete(self, environment_id: str, *, tenant_id: str) -> None:
        """Remove it."""
        statement = delete(ENVIRONMENTS).where(
            ENVIRONMENTS.c.id == environment_id, ENVIRONMENTS.c.tenant_id == tenant_id
        )

        async def statements(connection: AsyncConnection) -> int:
            return (await connection.execute(statement)).rowcount

        if not await self._database.transact(statements):
            raise _nowhere()

    async def _by_name(self, named: NamedEnvironment) -> NamedEnvironment | None:
        found = await self.find(tenant_id=named.tenant_id, limit=1, name=named.name)
        return found[0] if found else None


async def _read(
    connection: AsyncConnection, environment_id: str, tenant_id: str
) -> NamedEnvironment:
    wanted = select(ENVIRONMENTS).where(
        ENVIRONMENTS.c.id == environment_id, ENVIRONMENTS.c.tenant_id == tenant_id
    )
    row = (await connection.execute(wanted)).mappings().one_or_none()
    if row is None:
        raise _nowhere()
    return _named(row)


def _values(named: NamedEnvironment) -> dict[str, Any]:
    return {
        "id": named.id,
        "tenant_id": named.tenant_id,
        "name": named.name,
        "spec": named.environment.model_dump_json(),
        "revision": named.revision,
        "created_at": naive(named.created_at),
        "updated_at": naive(named.updated_at),
    }


def _named(row: RowMapping) -> NamedEnvironment:
    return NamedEnvironment(
        id=row["id"],
        tenant_id=row["tenant_id"],
        name=row["name"],
        environment=Environment.model_validate_json(row["spec"]),
        revision=row["revision"],
        created_at=aware(row["created_at"]),
        updated_at=aware(row["updated_at"]),
    )


def _nowhere() -> NotFound:
    return NotFound("There is no such environment.", code="environment_not_found")


def _taken(name: str) -> Conflict:
    said = f"There is an environment {name!r} already."
    return Conflict(said, code="environment_exists", fields=[FieldError("/name", said)])
