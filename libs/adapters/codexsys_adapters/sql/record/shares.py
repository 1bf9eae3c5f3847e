"""Share links."""

from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import SHARES
from codexsys_adapters.sql.tenants.idempotency import once
from codexsys_adapters.sql.times import aware, naive, now_sql
from codexsys_core.errors import Conflict, NotFound
from codexsys_core.idempotency import Idempotency
from codexsys_core.share import Share

_TIMES = ("created_at", "expires_at", "revoked_at")


class SqlShares:
    """A `ShareStore` on SQL."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def add(self, share: Share, idempotency: Idempotency | None = None) -> Share:
        """Insert a link; `Conflict` when the id or token is taken. A known key gives its link."""
        values = share.model_dump()
        values |= {name: values[name] and naive(values[name]) for name in _TIMES}

        async def statements(connection: AsyncConnection) -> None:
            await connection.execute(
                insert(SHARES).values({**values, "parts": ",".join(share.parts)})
            )

        try:
            made = await once(self._database, share.tenant_id, share.id, idempotency, statements)
        except IntegrityError as error:
            stored = await self.by_token(share.token_hash)
            if stored is None or stored.id != share.id:
                raise Conflict("There is such a link already.", code="share_exists") from error
            return stored
        return share if made == share.id else await self._get(made, share.tenant_id)

    async def by_token(self, token_hash: str) -> Share | None:
        """Find a link, expired and revoked ones too."""
        found = await self._rows(SHARES.c.token_hash == token_hash)
        return found[0] if found else None

    async def of_task(
        self, task_id: str, *, tenant_id: str, limit: int = 100, before: str | None = None
    ) -> list[Share]:
        """Return a task's links, newest first: ids grow with time."""
        wanted = [SHARES.c.task_id == task_id, SHARES.c.tenant_id == tenant_id]
        if before is not None:
            wanted.append(SHARES.c.id < before)
        return await self._rows(*wanted, limit=limit)

    async def revoke(self, share_id: str, *, tenant_id: str) -> None:
        """End a link at once; the first time stays."""
        statement = (
            update(SHARES)
            .where(SHARES.c.id == share_id, SHARES.c.tenant_id == tenant_id)
            .values(revoked_at=func.coalesce(SHARES.c.revoked_at, now_sql()))
        )

        async def statements(connection: AsyncConnection) -> int:
            return (await connection.execute(statement)).rowcount

        if not await self._database.transact(statements):
            raise _unknown()

    async def _get(self, share_id: str, tenant_id: str) -> Share:
        found = await self._rows(SHARES.c.id == share_id, SHARES.c.tenant_id == tenant_id)
        if not found:
            raise _unknown()
        return found[0]

    async def _rows(self, *conditions: Any, limit: int = 1) -> list[Share]:
        statement = select(SHARES).where(*conditions).order_by(SHARES.c.id.desc()).limit(limit)

        async def statements(connection: AsyncConnection) -> list[Share]:
            return [_share(row) for row in (await connection.execute(statement)).mappings()]

        return await self._database.look(statements)


def _unknown() -> NotFound:
    return NotFound("There is no such link.", code="share_not_found")


def _share(row: RowMapping) -> Share:
    values: dict[str, Any] = {**row, **{name: aware(row[name]) for name in _TIMES}}
    return Share.model_validate({**values, "parts": tuple(filter(None, row["parts"].split(",")))})
