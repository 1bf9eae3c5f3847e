"""Reads of rows by their ids that every request makes: compiled once, and run by the driver itself.

On MySQL a statement costs SQLAlchemy 250 µs of its process, however few rows it gives; the driver
needs 60 for the same. On SQLite the time goes elsewhere, and the statement takes the usual way.
"""

from collections.abc import Sequence
from typing import Any

import asyncmy
from sqlalchemy import ColumnElement, Select, bindparam
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.faults import SAID, Lost

_BROKEN = (asyncmy.errors.InterfaceError, OSError, EOFError, RuntimeError)
"""How the driver and uvloop's transports say that a connection is no more, beside the driver's numbers."""
_SOME = "__[POSTCOMPILE_wanted]"


class QuickRead:
    """Gives the rows of `statement` whose `column` is one of some ids, on one connection of the pool."""

    def __init__(
        self, database: Database, statement: Select[Any], column: ColumnElement[Any]
    ) -> None:
        self._database = database
        self._statement = statement.where(column.in_(bindparam("wanted", expanding=True)))
        self._text = str(self._statement.compile(dialect=mysql.dialect(paramstyle="format")))

    async def rows(self, ids: Sequence[str]) -> Sequence[Sequence[Any]]:
        """Return the rows, in no order; nothing for an id that is not there."""
        wanted = sorted(set(ids))

        async def statements(connection: AsyncConnection) -> Sequence[Sequence[Any]]:
            if self._database.dialect == "mysql":
                return await self._driven(connection, wanted)
            found: Sequence[Sequence[Any]]
            found = (await connection.execute(self._statement, {"wanted": wanted})).all()
            return found

        return await self._database.look(statements)

    async def _driven(self, connection: AsyncConnection, ids: list[str]) -> Sequence[Sequence[Any]]:
        text = self._text.replace(_SOME, ", ".join(["%s"] * len(ids)))
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            async with driver.cursor() as cursor:
                await cursor.execute(text, ids)
                rows: Sequence[Sequence[Any]] = await cursor.fetchall()
        except BaseException as error:
            await connection.invalidate()  # an answer may still be on its way
            if isinstance(error, _BROKEN):
                raise Lost("The connection to the database broke.", **SAID) from error
            if isinstance(error, asyncmy.errors.Error):
                raise DBAPIError(text, None, error) from error
            raise
        return rows
