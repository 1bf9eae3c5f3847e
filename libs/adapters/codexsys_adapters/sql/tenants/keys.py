"""Tenants and their keys."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from sqlalchemy import Executable, Select, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickRead, Reads
from codexsys_adapters.sql.tables import KEYS, TENANTS
from codexsys_adapters.sql.tenants.idempotency import once
from codexsys_adapters.sql.times import aware, naive, now_sql
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.idempotency import Idempotency
from codexsys_core.principal import ApiKey, Scope, Tenant

_COLUMNS = KEYS.c.keys()


class SqlKeys:
    """A `TenantStore` and `KeyStore` on SQL."""

    def __init__(self, *, database: Database, reads: Reads | None = None) -> None:
        self._database = database
        self._reads = reads or Reads(database)
        self._rows = QuickRead(database, select(KEYS), KEYS.c.id)

    async def add_tenant(self, tenant: Tenant) -> None:
        """Insert a tenant; `Conflict` when another one has the name."""
        row = insert(TENANTS).values(
            id=tenant.id, name=tenant.name, created_at=naive(tenant.created_at)
        )
        try:
            await self._write(row)
        except IntegrityError as error:
            stored = await self.tenant_named(tenant.name)
            if stored is None or stored.id != tenant.id:
                raise Conflict(
                    f"There is a tenant {tenant.name!r} already.", code="tenant_exists"
                ) from error

    async def tenant(self, tenant_id: str) -> Tenant | None:
        """Return a tenant."""
        return await self._tenant(select(TENANTS).where(TENANTS.c.id == tenant_id))

    async def first_tenant(self) -> Tenant | None:
        """Return the tenant that was made before all others."""
        oldest = select(TENANTS).order_by(TENANTS.c.created_at, TENANTS.c.id).limit(1)
        return await self._tenant(oldest)

    async def tenant_named(self, name: str) -> Tenant | None:
        """Find a tenant by its name."""
        return await self._tenant(select(TENANTS).where(TENANTS.c.name == name))

    async def _tenant(self, statement: Select[tuple[object, ...]]) -> Tenant | None:
        async def statements(connection: AsyncConnection) -> Tenant | None:
            row = (await connection.execute(statement)).mappings().one_or_none()
            return (
                None
                if row is None
                else Tenant.model_validate({**row, "created_at": aware(row["created_at"])})
            )

        return await self._database.look(statements)

    async def add_key(self, key: ApiKey, idempotency: Idempotency | None = None) -> ApiKey:
        """Insert a key; `Conflict` when another one has the id. A known promise gives its key."""
        times = {
            "created_at": naive(key.created_at),
            "revoked_at": key.revoked_at and naive(key.revoked_at),
        }

        async def statements(connection: AsyncConnection) -> None:
            await connection.execute(insert(KEYS).values({**key.model_dump(), **times}))

        try:
            made = await once(self._database, key.tenant_id, key.id, idempotency, statements)
        except IntegrityError as error:
            stored = await self.key(key.id)
            if stored is None or stored.secret_hash != key.secret_hash:
                raise Conflict("There is a key with this id already.", code="key_exists") from error
            return stored
        return key if made == key.id else await self._of_tenant(made, key.tenant_id)

    async def _of_tenant(self, key_id: str, tenant_id: str) -> ApiKey:
        found = await self.key(key_id)
        if found is None or found.tenant_id != tenant_id:
            raise _unknown()
        return found

    async def key(self, key_id: str) -> ApiKey | None:
        """Find a key by id, revoked ones too."""
        row = await self._reads.row(self._rows, key_id)
        return None if row is None else _same_key(tuple(row))

    async def keys(
        self, tenant_id: str, *, limit: int = 100, before: str | None = None
    ) -> list[ApiKey]:
        """List a tenant's keys, newest first: ids grow with time."""
        statement = select(KEYS).where(KEYS.c.tenant_id == tenant_id)
        if before is not None:
            statement = statement.where(KEYS.c.id < before)
        return await self._keys(statement.order_by(KEYS.c.id.desc()).limit(limit))

    async def change(
        self, key_id: str, *, tenant_id: str, name: str | None = None, scope: Scope | None = None
    ) -> ApiKey:
        """Change what is given and return the key."""
        given = {"name": name, "scope": scope}
        values = {column: value for column, value in given.items() if value is not None}
        wanted = (KEYS.c.id == key_id, KEYS.c.tenant_id == tenant_id)

        async def statements(connection: AsyncConnection) -> ApiKey | None:
            if values:
                await connection.execute(update(KEYS).where(*wanted).values(values))
            found = await connection.execute(select(KEYS).where(*wanted))
            row = found.mappings().one_or_none()
            return None if row is None else _key(row)

        key = await self._database.transact(statements)
        if key is None:
            raise _unknown()
        return key

    async def revoke(self, key_id: str, *, tenant_id: str) -> None:
        """Make a key useless from now on; the first time stays."""
        statement = (
            update(KEYS)
            .where(KEYS.c.id == key_id, KEYS.c.tenant_id == tenant_id)
            .values(revoked_at=func.coalesce(KEYS.c.revoked_at, now_sql()))
        )
        if not await self._write(statement):
            raise _unknown()

    async def _keys(self, statement: Select[tuple[object, ...]]) -> list[ApiKey]:
        async def statements(connection: AsyncConnection) -> list[ApiKey]:
            return [_key(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.look(statements)

    async def _write(self, statement: Executable) -> int:
        async def statements(connection: AsyncConnection) -> int:
            return (await connection.execute(statement)).rowcount

        return await self._database.transact(statements)


@lru_cache(1024)
def _same_key(row: tuple[Any, ...]) -> ApiKey:
    """Return the noun of a row as it is now; most are what they were."""
    return _key(dict(zip(_COLUMNS, row, strict=True)))


def _unknown() -> NotFound:
    return NotFound("There is no such key.", code="key_not_found")


def _key(row: Mapping[Any, Any]) -> ApiKey:
    times = {name: aware(row[name]) for name in ("created_at", "revoked_at")}
    return ApiKey.model_validate({**row, **times})
