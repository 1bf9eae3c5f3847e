"""A connection that is not given back between one short transaction and the next.

To take one from its pool, to begin, to commit and to give it back cost a process as much as the
statements themselves, and a model call waits for it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from codexsys_adapters.sql.faults import edge

RECYCLE_SECONDS = 25
"""A connection that waits is younger than the server lets it become."""


class Kept:
    """One MySQL connection, for transactions that come one after the other and commit themselves."""

    def __init__(self, engine: Callable[[], AsyncEngine]) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._used_at = 0.0

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give the connection for a transaction whose last message commits; any other is rolled back."""
        async with edge():
            connection = await self._taken()
            try:
                yield connection
            except BaseException:
                await self._undo(connection)
                raise

    async def let_go(self) -> None:
        """Give it back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _taken(self) -> AsyncConnection:
        now = asyncio.get_running_loop().time()
        if now - self._used_at > RECYCLE_SECONDS:
            await self.let_go()
        self._used_at = now
        if self._connection is None:
            self._connection = await self._engine().connect()
        return self._connection

    async def _undo(self, connection: AsyncConnection) -> None:
        """Roll back; of a connection that is broken, or breaks now, the server does so itself."""
        if not connection.invalidated:
            driver: Any = (await connection.get_raw_connection()).driver_connection
            try:
                await driver.rollback()
            except Exception:
                await connection.invalidate()
        if connection.invalidated:
            await self.let_go()
