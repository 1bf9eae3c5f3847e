"""Rows of clients' promises that two requests are one, whatever the request made."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.tables import IDEMPOTENCY
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.errors import Invalid
from codexsys_core.task import Idempotency

_KEPT_SECONDS = 24 * 3600


async def note_key(
    connection: AsyncConnection, tenant_id: str, made: str, idempotency: Idempotency
) -> None:
    """Insert the key with the id of what is made; `IntegrityError` when it is in use."""
    same = (IDEMPOTENCY.c.tenant_id == tenant_id) & (IDEMPOTENCY.c.key == idempotency.key)
    row = {
        "tenant_id": tenant_id,
        "key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
        "task_id": made,
    }
    # A row that is older than a day is taken over; a younger one makes the insert fail.
    old = update(IDEMPOTENCY).where(same, IDEMPOTENCY.c.created_at <= after_sql(-_KEPT_SECONDS))
    if (await connection.execute(old.values(**row, created_at=now_sql()))).rowcount == 0:
        await connection.execute(insert(IDEMPOTENCY).values(**row, created_at=now_sql()))


async def made_with(
    connection: AsyncConnection, tenant_id: str, idempotency: Idempotency
) -> str | None:
    """Return the id of what was made with this key; `Invalid` when it was for something else."""
    wanted = select(IDEMPOTENCY.c.fingerprint, IDEMPOTENCY.c.task_id).where(
        IDEMPOTENCY.c.tenant_id == tenant_id,
        IDEMPOTENCY.c.key == idempotency.key,
        IDEMPOTENCY.c.created_at > after_sql(-_KEPT_SECONDS),
    )
    row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        return None
    if row.fingerprint != idempotency.fingerprint:
        raise Invalid(
            "This Idempotency-Key was used for another request; take a new key for a new request.",
            code="idempotency_mismatch",
        )
    return str(row.task_id)
