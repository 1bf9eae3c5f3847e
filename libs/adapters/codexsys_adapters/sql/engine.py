"""Connections and transactions on SQLite and MySQL, with driver errors turned into ours at this edge."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from itertools import chain, repeat
from types import TracebackType
from typing import Any, Self, TypeVar

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from codexsys_adapters.sql.faults import AWAY, SAID, Contended, Lost, Silent, edge
from codexsys_adapters.sql.heard import connect
from codexsys_adapters.sql.kept import RECYCLE_SECONDS, Kept
from codexsys_adapters.sql.refusals import Refusals
from codexsys_adapters.sql.silence import Silence
from codexsys_core.errors import Invalid, Unavailable

T = TypeVar("T")

_TRIES = 5
# A process that froze, or that cannot be reached any more, keeps its connections and with them the
# rows that it had locked: its attempts could be taken over by nobody. MariaDB ends a transaction in
# which nothing was asked for so long; MySQL has that for whole connections only.
_LET_GO = " /*M!100300 , idle_transaction_timeout = 5 */ /*!80000 , wait_timeout = 30 */"
_STRICT = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
"""Whatever the server's own is: what does not fit is refused and never cut, and quotes mean what they do here."""
_PAUSES_SECONDS = (0.1, 0.2, 0.5, 1.0)

log = logging.getLogger(__name__)


class Database:
    """One database by URL: `sqlite:///path` or `mysql://user:password@host:port/name?ssl_ca=…`.

    Use it as an async context manager; nothing connects before the first transaction. Whoever asks
    hears within `answer_seconds` of silence, tries again and waits for a connection included: a
    server that is frozen or behind a black hole says nothing by itself. With `patient`, whoever asks
    does not hear of it: all that can be asked again is asked again until the database answers.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        busy_seconds: float = 10.0,
        answer_seconds: float = 20.0,
        patient: bool = False,
    ) -> None:
        self._url = driver_url(url)
        self._patient = patient
        self._options: dict[str, Any]
        if self.dialect == "sqlite":
            self._options = _sqlite_options(pool_size, busy_seconds)
        else:
            self._options = _mysql_options(pool_size, busy_seconds)
        self._engine: AsyncEngine | None = None
        self._reader: AsyncEngine | None = None
        self._writer: AbstractAsyncContextManager[Any] = nullcontext()
        self._reads = Silence(answer_seconds)
        self._writes = Silence(answer_seconds)
        self.refusals = Refusals()
        self._kept: list[Kept] = []

    @property
    def dialect(self) -> str:
        """Return `sqlite` or `mysql`."""
        return self._url.get_backend_name()

    @property
    def engine(self) -> AsyncEngine:
        """Return the engine of the open database."""
        return _opened(self._engine)

    async def __aenter__(self) -> Self:
        if self.dialect == "mysql":
            # A database whose disk is full may hold commits and answer all else: writers listen to
            # writers, whose connections are soon all held then, and not to readers.
            self._engine = self._mysql_engine(self._writes)
            # A read is one round trip: no transaction is begun, and none has to be ended.
            options = {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
            self._reader = self._mysql_engine(self._reads, **options)
        else:
            self._engine = self._reader = create_async_engine(self._url, **self._options)
            for silence in (self._reads, self._writes):
                event.listen(self._engine.sync_engine, "after_cursor_execute", silence.broken)
            # Writers of one process queue here, in order, instead of polling for the file's lock.
            self._writer = asyncio.Lock()
            event.listen(self._engine.sync_engine, "do_connect", _sqlite_probe)
            event.listen(self._engine.sync_engine, "connect", _sqlite_connect)
            event.listen(self._engine.sync_engine, "begin", _sqlite_begin)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for kept in self._kept:
            await kept.let_go()
        engines = {self._engine, self._reader} - {None}
        self._engine = self._reader = None
        for engine in engines:
            if engine is not None:
                await engine.dispose()

    def _mysql_engine(self, silence: Silence, **options: Any) -> AsyncEngine:
        engine = create_async_engine(self._url, **self._options | options)

        def heard(_dialect: Any, _record: Any, _arguments: Any, keywords: dict[str, Any]) -> None:
            keywords["heard"] = silence.broken

        event.listen(engine.sync_engine, "do_connect", heard)
        return engine

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection for statements that change nothing."""
        async with edge(), _opened(self._reader).connect() as connection:
            yield connection

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """Give a connection in a transaction that is committed at the end of the block."""
        async with edge(), self._writer, self.engine.connect() as connection:
            if self.dialect == "sqlite":
                await connection.execution_options(begin="IMMEDIATE")
            async with connection.begin():
                yield connection

    def kept(self) -> Kept | None:
        """Return a connection for transactions that come one after the other; None on SQLite."""
        if self.dialect != "mysql":
            return None
        self._kept.append(Kept(lambda: self.engine))
        return self._kept[-1]

    async def transact(
        self,
        statements: Callable[[AsyncConnection], Awaitable[T]],
        *,
        after_loss: bool = True,
        kept: Kept | None = None,
    ) -> T:
        """Run a whole transaction, again after a deadlock and once more after a lost connection.

        So `statements` must be such that running them after they took effect changes nothing:
        conditional updates that read back, inserts under an id of their own. Where that cannot
        be, `after_loss=False` leaves the unknown answer (`Lost`) to the caller. With a connection
        that is `kept` they must commit by their last message; another try takes the usual way.
        """

        async def once() -> T:
            with self.refusals.noted():
                async with _in_time(self._writes):
                    done = await self._tried(statements, after_loss=after_loss, kept=kept)
            self._writes.broken()
            return done

        return await (self._patiently(once) if after_loss else once())

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again until there is an answer, where somebody has the time."""
        pauses = chain(_PAUSES_SECONDS, repeat(_PAUSES_SECONDS[-1]))
        while True:
            try:
                return await ask()
            except Unavailable as error:
                if not self._patient or self._engine is None:
                    raise
                log.warning("the database is waited for: %s", error.message)
            await asyncio.sleep(next(pauses))

    async def _tried(
        self,
        statements: Callable[[AsyncConnection], Awaitable[T]],
        *,
        after_loss: bool,
        kept: Kept | None,
    ) -> T:
        lost, write = 0, self.write
        ways = chain([kept.write if kept else write], repeat(write))
        for left, way in zip(reversed(range(_TRIES)), ways, strict=False):
            try:
                async with way() as connection:
                    return await statements(connection)
            except Contended:
                if not left:
                    raise
                await asyncio.sleep(0.01 * (_TRIES - left))
            except Lost:
                lost += way is write  # what is kept may have broken long ago
                if lost > 1 or not (after_loss and left):
                    raise
        raise AssertionError("the last try returns or raises")

    async def look(self, statements: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Run reading statements, once more after a lost connection."""

        async def read() -> T:
            async with self.read() as connection:
                return await statements(connection)

        async def once() -> T:
            async with _in_time(self._reads):
                try:
                    return await read()
                except Lost:
                    return await read()

        return await self._patiently(once)

    async def ready(self) -> None:
        """Raise `Unavailable` unless the database answers now."""
        await self.look(lambda connection: connection.execute(text("SELECT 1")))


@asynccontextmanager
async def _in_time(silence: Silence) -> AsyncIterator[None]:
    """Give up in time; the driver's connection is cut, and what was under way stays unknown."""
    try:
        async with silence.bounded():
            yield
    except TimeoutError as error:
        raise Silent(AWAY, **SAID) from error


def _opened(engine: AsyncEngine | None) -> AsyncEngine:
    if engine is None:
        raise Unavailable("The database is not open.", **SAID)
    return engine


def driver_url(url: str) -> URL:
    """Return the URL with the driver's name in it."""
    parsed = make_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+aiosqlite")
    if backend in ("mysql", "mariadb"):
        return parsed.set(drivername="mysql+asyncmy").update_query_dict({"charset": "utf8mb4"})
    raise Invalid(
        "The database URL must be sqlite:///path or mysql://user:password@host:port/name.",
        code="database_url",
    )


def _sqlite_options(pool_size: int, busy_seconds: float) -> dict[str, Any]:
    # isolation_level None: the driver begins nothing by itself, the "begin" event below does.
    arguments = {"isolation_level": None, "timeout": busy_seconds}
    return {
        "connect_args": arguments,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 30,
    }


def _mysql_options(pool_size: int, busy_seconds: float) -> dict[str, Any]:
    # FOUND_ROWS (matched rows, not changed ones, are counted) is set by SQLAlchemy's dialect itself.
    wait = max(1, round(busy_seconds))
    session = (
        f"SET time_zone = '+00:00', sql_mode = '{_STRICT}', innodb_lock_wait_timeout = {wait}"
        f"{_LET_GO}"
    )
    return {
        "connect_args": {
            "init_command": session,
            "connect_timeout": 5,
            "async_creator_fn": connect,
        },
        "isolation_level": "READ COMMITTED",
        # Of each of the two pools; a server that was set up as usual takes 151 connections in all.
        "pool_size": max(1, pool_size // 2),
        "max_overflow": pool_size // 2,
        "pool_timeout": 10,
        "pool_recycle": RECYCLE_SECONDS,
        # Every block here ends its transaction itself: no further round trip to be sure.
        "pool_reset_on_return": None,
    }


def _sqlite_probe(_dialect: Any, _record: Any, arguments: Sequence[Any], _keywords: Any) -> None:
    # A file that cannot be opened fails here: the driver would leave a thread behind.
    sqlite3.connect(arguments[0]).close()


def _sqlite_connect(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _sqlite_begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
