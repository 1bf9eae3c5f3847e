"""Inserts that happen only while another row says so, in one statement."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Table, insert, literal, select
from sqlalchemy.ext.asyncio import AsyncConnection


async def insert_while(
    connection: AsyncConnection,
    table: Table,
    values: Mapping[str, Any],
    guard: Table,
    *conditions: ColumnElement[bool],
) -> bool:
    """Insert a row if a row of `guard` meets the conditions, and say whether it did.

    The guard's row is locked for reading until the transaction ends: a takeover that changes it
    comes wholly before this insert, or sees it. (MySQL would read it without a lock otherwise.)
    """
    columns = table.c
    row = [
        (value if isinstance(value, ColumnElement) else literal(value, columns[name].type)).label(
            name
        )
        for name, value in values.items()
    ]
    found = select(*row).select_from(guard).where(*conditions).with_for_update(read=True)
    result = await connection.execute(
        insert(table).from_select(list(values), found, include_defaults=False)
    )
    return result.rowcount == 1
