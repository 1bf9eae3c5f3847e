"""What can go wrong with a database, as drivers say it and as we do."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from codexsys_core.errors import Unavailable

AWAY = "The database does not answer."
SAID: Mapping[str, Any] = {"code": "database_unavailable", "retry_after": 2}
_LOST = frozenset({2006, 2013, 2055})
_CONTENDED = frozenset({1213, 1020})
"""Deadlock, and MariaDB's "record has changed since last read"."""
# Too many connections, access denied, shutting down, network trouble, read-only, no connection.
_AWAY = _LOST | {
    1040,
    1042,
    1043,
    1045,
    1053,
    1077,
    1129,
    1158,
    1159,
    1160,
    1161,
    1203,
    1290,
    1317,
    1836,
    1927,
    2002,
    2003,
    2005,
}
_LOCKED = frozenset({1205, 3572})
"""What another transaction held for too long, or where nobody wanted to wait at all."""
_FULL = frozenset({1021, 1026, 1030, 1114})
"""No room: on the disk, for a file that was written, in the storage engine, in a table's file."""
_SQLITE_CONTENDED = ("SQLITE_BUSY", "SQLITE_LOCKED")
_SQLITE_AWAY = (
    "SQLITE_CANTOPEN",
    "SQLITE_IOERR",
    "SQLITE_READONLY",
    "SQLITE_NOTADB",
)
_SQLITE_FULL = "SQLITE_FULL"


class Contended(Unavailable):
    """Two transactions were in each other's way; this one was rolled back whole."""


class Locked(Unavailable):
    """Another transaction holds what was wanted; nothing of this one was written."""


class Lost(Unavailable):
    """The connection broke; what was under way may or may not have been committed."""


class Silent(Lost):
    """It did not answer in time."""


class Full(Unavailable):
    """There is no room for what was to be written; nothing of it was."""


@asynccontextmanager
async def edge() -> AsyncIterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except DBAPIError as error:
        ours = _translate(error)
        if ours is None:
            raise
        raise ours from error
    except (PoolTimeout, OSError) as error:
        raise Unavailable(AWAY, **SAID) from error


def _translate(error: DBAPIError) -> Unavailable | None:
    name = getattr(error.orig, "sqlite_errorname", None) or ""
    arguments = getattr(error.orig, "args", ())
    number = arguments[0] if arguments and isinstance(arguments[0], int) else 0
    if number in _CONTENDED or name.startswith(_SQLITE_CONTENDED):
        return Contended("The database is busy.", **SAID)
    if number in _LOST or error.connection_invalidated:
        return Lost("The connection to the database broke.", **SAID)
    if number in _LOCKED:
        return Locked(AWAY, **SAID)
    if number in _FULL or name == _SQLITE_FULL:
        return Full("The database has no room: its disk is full.", **SAID)
    if number in _AWAY or name.startswith(_SQLITE_AWAY):
        return Unavailable(AWAY, **SAID)
    return None
