"""Statements that every poll and every submit runs: compiled once, and run by the driver itself.

On MySQL a statement costs SQLAlchemy 250 µs of its process, however few rows it has; the driver needs
60 for the same. On SQLite the time goes elsewhere, and the statement takes the usual way.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import asyncmy
from sqlalchemy import ColumnElement, Insert, Select, TextClause, Update, bindparam
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import ClauseElement

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.faults import SAID, Lost
from codexsys_adapters.sql.heard import COMMITTED
from codexsys_core.together import Together

_BROKEN = (asyncmy.errors.InterfaceError, OSError, EOFError, RuntimeError)
"""How the driver and uvloop's transports say that a connection is no more, beside the driver's numbers."""
_SOME = "__[POSTCOMPILE_wanted]"
_VALUES = " VALUES "

Row = Sequence[Any]
Rows = Sequence[Row]
Told = tuple[str, Sequence[Any]]
"""A statement as the driver takes it, and its values."""


class Reading(Protocol):
    """A statement that gives rows."""

    async def on(self, connection: AsyncConnection, given: Any, /) -> Rows:
        """Return the rows for what is given."""

    def told(self, given: Any, /) -> Told:
        """Return what a MySQL server is told."""


class QuickRead:
    """Gives the rows of `statement` whose `column` is one of some ids."""

    def __init__(
        self, database: Database, statement: Select[Any], column: ColumnElement[Any]
    ) -> None:
        self._database = database
        self._statement = statement.where(column.in_(bindparam("wanted", expanding=True)))
        self._text = str(_compiled(self._statement))

    async def on(self, connection: AsyncConnection, ids: Iterable[str]) -> Rows:
        """Return the rows, in no order; nothing for an id that is not there."""
        if self._database.dialect == "mysql":
            return await _driven(connection, *self.told(ids))
        wanted = {"wanted": sorted(set(ids))}
        found: Rows = (await connection.execute(self._statement, wanted)).all()
        return found

    def told(self, ids: Iterable[str]) -> Told:
        """Return what a MySQL server is told."""
        wanted = sorted(set(ids))
        return self._text.replace(_SOME, ", ".join(["%s"] * len(wanted))), wanted


class Reads:
    """Reads single rows for all who ask at the same moment, of whatever kind, on one connection."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._asked: Together[tuple[QuickRead, str], Row | None] = Together(self._some)

    async def row(self, read: QuickRead, identifier: str) -> Row | None:
        """Return the row of an id, which is its first column."""
        return await self._asked.ask((read, identifier))

    async def _some(self, wishes: Sequence[tuple[QuickRead, str]]) -> list[Row | None]:
        wanted: dict[QuickRead, set[str]] = {}
        for read, identifier in wishes:
            wanted.setdefault(read, set()).add(identifier)

        async def statements(connection: AsyncConnection) -> dict[tuple[QuickRead, str], Row]:
            found: dict[tuple[QuickRead, str], Row] = {}
            for read, ids in wanted.items():
                found |= {(read, row[0]): row for row in await read.on(connection, ids)}
            return found

        rows = await self._database.look(statements)
        return [rows.get(wish) for wish in wishes]


class QuickUnion:
    """Gives the rows of `statement` for each of some sets of values, of all together."""

    def __init__(self, database: Database, statement: Select[Any]) -> None:
        self._database = database
        self._statement = statement
        compiled = _compiled(statement)
        self._text, self._names = str(compiled), list(compiled.positiontup or ())

    async def on(self, connection: AsyncConnection, given: Sequence[Mapping[str, Any]]) -> Rows:
        """Return the rows, in no order."""
        if self._database.dialect == "mysql":
            return await _driven(connection, *self.told(given))
        found = [(await connection.execute(self._statement, each)).all() for each in given]
        return [row for rows in found for row in rows]

    def told(self, given: Sequence[Mapping[str, Any]]) -> Told:
        """Return what a MySQL server is told."""
        text = " UNION ALL ".join([self._text] * len(given))
        return text, [each[name] for each in given for name in self._names]


class QuickUpdate:
    """Changes the rows whose `column` is one of some ids, as the statement's other values say."""

    def __init__(self, database: Database, statement: Update, column: ColumnElement[Any]) -> None:
        self._database = database
        self._statement = statement.where(column.in_(bindparam("wanted", expanding=True)))
        compiled = _compiled(self._statement)
        self._text, self._names = str(compiled), list(compiled.positiontup or ())

    async def on(self, connection: AsyncConnection, ids: Iterable[str], **values: Any) -> None:
        """Change them."""
        wanted = sorted(set(ids))
        given = values | {"wanted": wanted}
        if self._database.dialect != "mysql":
            await connection.execute(self._statement, given)
            return
        text = self._text.replace(_SOME, ", ".join(["%s"] * len(wanted)))
        told = [given[name] if name == "wanted" else [given[name]] for name in self._names]
        await _driven(connection, text, [value for some in told for value in some])


class QuickChange:
    """Runs a statement that changes rows, or adds some, as some values say; those that it holds itself stay."""

    def __init__(self, database: Database, statement: Update | Insert | TextClause) -> None:
        self._database = database
        self._statement = statement
        compiled = _compiled(statement)
        self._text, self._names = str(compiled), list(compiled.positiontup or ())
        self._own: Mapping[str, Any] = compiled.params

    async def on(self, connection: AsyncConnection, **values: Any) -> "Changed":
        """Change rows; say how many matched."""
        (changed,) = await change(connection, [(self, values)])
        return changed

    async def alone(self, connection: AsyncConnection, values: Mapping[str, Any]) -> "Changed":
        """Change rows by SQLAlchemy's own way."""
        return Changed((await connection.execute(self._statement, values)).rowcount, 0)

    def told(self, values: Mapping[str, Any]) -> Told:
        """Return what a MySQL server is told."""
        given = {**self._own, **values}
        return self._text, [given[name] for name in self._names]


Change = tuple[QuickChange, Mapping[str, Any]]
"""A statement, and its values."""


class Changed(NamedTuple):
    """What a statement came to."""

    matched: int
    told: int
    """What it gave to MySQL's LAST_INSERT_ID()."""


async def change(
    connection: AsyncConnection, changes: Sequence[Change], *, last: bool = False
) -> list[Changed]:
    """Run some changes in order; to a MySQL server they are one message.

    Where they are the last of their transaction, such a server is told to commit in the same message.
    """
    if connection.dialect.name == "sqlite":
        return [await each.alone(connection, given) for each, given in changes]
    if not changes:
        return []
    told = [each.told(given) for each, given in changes]
    text = "; ".join(text for text, _ in told) + (COMMITTED if last else "")
    done = []
    async with _cursor(connection, text, [one for _, some in told for one in some]) as cursor:
        done.append(Changed(cursor.rowcount, cursor.lastrowid))
        while await cursor.nextset():
            done.append(Changed(cursor.rowcount, cursor.lastrowid))
    return done


class QuickInsert:
    """Inserts rows, however many, by one statement of a transaction. `names` are the values of each row."""

    def __init__(self, database: Database, statement: Insert, names: Sequence[str]) -> None:
        self._database = database
        self._statement = statement
        compiled = _compiled(statement, column_keys=list(names))
        self._head, _, self._row = str(compiled).partition(_VALUES)
        self._names = list(compiled.positiontup or ())

    async def add(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert all of them or none; `IntegrityError` when one is there."""
        if not rows:
            return
        if self._database.dialect != "mysql":
            await connection.execute(self._statement, list(rows))
            return
        await _driven(connection, *self.told(rows))

    def told(self, rows: Sequence[Mapping[str, Any]]) -> Told:
        """Return what a MySQL server is told."""
        text = f"{self._head}{_VALUES}{', '.join([self._row] * len(rows))}"
        return text, [row[name] for row in rows for name in self._names]


async def add_and_read(
    connection: AsyncConnection,
    inserts: Sequence[tuple[QuickInsert, Sequence[Mapping[str, Any]]]],
    read: Reading,
    given: Any,
    *,
    last: bool = False,
) -> Rows:
    """Insert rows table by table, then read: to a MySQL server all of it is one message.

    `IntegrityError` when a row is there; what comes behind it was not run then. Where this is the
    last of its transaction, such a server is told to commit in the same message.
    """
    some = [(insert, rows) for insert, rows in inserts if rows]
    if connection.dialect.name == "sqlite":
        for insert, rows in some:
            await insert.add(connection, rows)
        return await read.on(connection, given)
    told = [*(insert.told(rows) for insert, rows in some), read.told(given)]
    text = "; ".join(text for text, _ in told) + (COMMITTED if last else "")
    return await _driven(connection, text, [each for _, values in told for each in values])


def _compiled(statement: ClauseElement, **options: Any) -> SQLCompiler:
    made: Any = statement.compile(dialect=mysql.dialect(paramstyle="format"), **options)
    compiled: SQLCompiler = made
    return compiled


async def _driven(connection: AsyncConnection, text: str, values: Sequence[Any]) -> Rows:
    async with _cursor(connection, text, values) as cursor:
        rows: Rows = await cursor.fetchall()
        while (
            await cursor.nextset()
        ):  # of several statements one has rows: the last, but for a commit
            rows = await cursor.fetchall() or rows
    return rows


@asynccontextmanager
async def _cursor(
    connection: AsyncConnection, text: str, values: Sequence[Any]
) -> AsyncIterator[Any]:
    """Give the driver's own cursor, with the statement run."""
    checked_out: Any = connection.sync_connection
    driver = checked_out.connection.driver_connection
    try:
        async with driver.cursor() as cursor:
            await cursor.execute(text, values)
            yield cursor
    except asyncmy.errors.IntegrityError as error:
        raise IntegrityError(text, None, error) from error
    except BaseException as error:
        await connection.invalidate()  # an answer may still be on its way
        if isinstance(error, _BROKEN):
            raise Lost("The connection to the database broke.", **SAID) from error
        if isinstance(error, asyncmy.errors.Error):
            raise DBAPIError(text, None, error) from error
        raise
