"""Rows of clients' promises that two requests are one, whatever the request made."""

from collections.abc import Awaitable, Callable, Collection

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.tables import IDEMPOTENCY
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.errors import Invalid
from codexsys_core.idempotency import Idempotency

_KEPT_SECONDS = 24 * 3600


async def once(
    database: Database,
    tenant_id: str,
    made: str,
    idempotency: Idempotency | None,
    statements: Callable[[AsyncConnection], Awaitable[object]],
) -> str:
    """Make something in one transaction with its key, and return its id.

    With a known key nothing is done, and the id is that of what was made before; the loser of a race
    gets the winner's. What the statements raise, and what they clash with, is the caller's to mind.
    """

    async def noted(connection: AsyncConnection) -> None:
        if idempotency is not None:
            await note_key(connection, tenant_id, made, idempotency)
        await statements(connection)

    try:
        await database.transact(noted)
    except IntegrityError:
        if idempotency is None:
            raise
        promise = idempotency
        known = await database.look(lambda connection: made_with(connection, tenant_id, promise))
        if known is None:
            raise
        return known
    return made


async def note_key(
    connection: AsyncConnection, tenant_id: str, made: str, idempotency: Idempotency
) -> None:
    """Insert the key with the id of what is made; `IntegrityError` when it is in use."""
    same = (IDEMPOTENCY.c.tenant_id == tenant_id) & (IDEMPOTENCY.c.key == idempotency.key)
    row = new_key(tenant_id, made, idempotency)
    # A row that is older than a day is taken over; a younger one makes the insert fail.
    old = update(IDEMPOTENCY).where(same, IDEMPOTENCY.c.created_at <= after_sql(-_KEPT_SECONDS))
    if (await connection.execute(old.values(**row, created_at=now_sql()))).rowcount == 0:
        await connection.execute(insert(IDEMPOTENCY).values(**row, created_at=now_sql()))


def new_key(tenant_id: str, made: str, idempotency: Idempotency) -> dict[str, str]:
    """Return the columns of a key; `created_at` is the statement's to add."""
    return {
        "tenant_id": tenant_id,
        "key": idempotency.key,
        "fingerprint": idempotency.fingerprint,
        "task_id": made,
    }


async def taken_keys(
    connection: AsyncConnection, tenant_id: str, keys: Collection[str]
) -> set[str]:
    """Return those of the keys that are in use, however old; `Locked` when one is just being written."""
    wanted = select(IDEMPOTENCY.c.key).where(
        IDEMPOTENCY.c.tenant_id == tenant_id, IDEMPOTENCY.c.key.in_(sorted(keys))
    )
    return set((await connection.execute(wanted.with_for_update(nowait=True))).scalars())


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
