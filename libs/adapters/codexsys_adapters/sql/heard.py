"""A MySQL connection that tells whenever the server said something, on the way in as well.

Being let in takes half a dozen round trips. A process that makes many connections at the same time,
and has much else to do, is far from silence while it makes them.
"""

from collections.abc import Callable
from typing import Any

import asyncmy
from asyncmy import connection as driver
from asyncmy.constants.CR import CR_CONN_HOST_ERROR

COMMITTED = "; COMMIT"
"""The end of a message that is the last one of its transaction."""
_Connection: Any = driver.Connection  # its types leave out the steps


class HeardConnection(_Connection):  # type: ignore[misc]
    """The driver's connection; each step of its making and each statement ends with an answer."""

    def __init__(self, *, heard: Callable[[], None], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._heard = heard
        self._committed = False

    async def _get_server_information(self) -> None:
        await super()._get_server_information()
        self._heard()

    async def _request_authentication(self) -> None:
        await super()._request_authentication()
        self._heard()

    async def query(self, sql: str | bytes, unbuffered: bool = False) -> Any:
        """Run a statement."""
        self._committed = False
        found = await super().query(sql, unbuffered)
        self._committed = isinstance(sql, str) and sql.endswith(COMMITTED)
        self._heard()
        return found

    async def commit(self) -> None:
        """Commit, unless the last message has: whoever read all its answers knows that it was done."""
        if not self._committed:
            await super().commit()
        self._committed = False


async def connect(**arguments: Any) -> HeardConnection:
    """Make a connection, as `asyncmy.connect` does."""
    try:
        connection = HeardConnection(**arguments)
        await connection.connect()
    except RuntimeError as error:  # what the driver makes of one that ends while it is made
        raise asyncmy.errors.OperationalError(CR_CONN_HOST_ERROR, str(error)) from error
    return connection
