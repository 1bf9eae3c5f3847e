"""Log streams: redacted, numbered by byte, without a gap."""

from sqlalchemy import Update, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.fenced import held
from codexsys_adapters.sql.tables import LOG_CHUNKS, LOG_STREAMS
from codexsys_adapters.sql.times import now_sql
from codexsys_core.attempt import Hold
from codexsys_core.errors import Conflict
from codexsys_core.log import CHUNK_BYTES, PUBLIC_STREAMS, LogChunk, Redactor

_CUT = " … [line cut]\n".encode()


class SqlLogs:
    """A `LogStore` on SQL."""

    def __init__(self, *, database: Database, redactor: Redactor) -> None:
        self._database = database
        self._redactor = redactor

    async def append(
        self, task_id: str, sandbox_id: str, stream: str, number: int, text: bytes
    ) -> int:
        """Add a chunk and return the offset after it; what is not UTF-8 is replaced.

        Redaction sees the lines whole. Then, in streams that people follow, a line over 64 KiB
        loses its end.
        """
        clean = self._redactor.redact(text.decode("utf-8", "replace").encode())
        if stream in PUBLIC_STREAMS:
            clean = _cut_lines(clean)

        async def statements(connection: AsyncConnection) -> int:
            size, sealed = await _lock(connection, task_id, stream)
            known = await _end_of(connection, task_id, stream, sandbox_id, number)
            if known is not None:
                return known
            if sealed:
                raise Conflict("The log is complete; nothing can be added.", code="log_sealed")
            if not clean:
                return size
            await connection.execute(
                insert(LOG_CHUNKS).values(
                    task_id=task_id,
                    stream=stream,
                    start=size,
                    sandbox_id=sandbox_id,
                    number=number,
                    text=clean,
                )
            )
            await connection.execute(
                _stream(task_id, stream).values(size=LOG_STREAMS.c.size + len(clean))
            )
            return size + len(clean)

        return await self._database.transact(statements)

    async def read(
        self, task_id: str, stream: str, after: int, *, limit_bytes: int = 1_000_000
    ) -> list[LogChunk]:
        """Return chunks from an offset on, at least one if there is any."""
        chunks = LOG_CHUNKS.c
        here = (chunks.task_id == task_id, chunks.stream == stream)
        first = select(func.max(chunks.start)).where(*here, chunks.start <= after).scalar_subquery()
        statement = (
            select(chunks.start, chunks.text)
            .where(
                *here,
                chunks.start >= func.coalesce(first, 0),
                chunks.start < after + max(1, limit_bytes),
            )
            .order_by(chunks.start)
        )

        async def statements(connection: AsyncConnection) -> list[LogChunk]:
            found = [
                LogChunk(offset=row.start, text=row.text)
                for row in await connection.execute(statement)
            ]
            return [_from(chunk, after) for chunk in found if chunk.end > after]

        return await self._database.look(statements)

    async def size(self, task_id: str, stream: str) -> int:
        """Return the offset at which the next chunk will start."""
        statement = select(LOG_STREAMS.c.size).where(
            LOG_STREAMS.c.task_id == task_id, LOG_STREAMS.c.stream == stream
        )

        async def statements(connection: AsyncConnection) -> int:
            return await connection.scalar(statement) or 0

        return await self._database.look(statements)

    async def seal(self, hold: Hold, stream: str) -> int | None:
        """Let nothing be added any more as long as the holder owns the task; return the size."""

        async def statements(connection: AsyncConnection) -> int | None:
            if not await held(connection, hold):
                return None
            size, sealed = await _lock(connection, hold.task_id, stream)
            if not sealed:
                row = _stream(hold.task_id, stream)
                await connection.execute(row.values(sealed_at=now_sql()))
            return size

        return await self._database.transact(statements)


def _stream(task_id: str, stream: str) -> Update:
    return update(LOG_STREAMS).where(
        LOG_STREAMS.c.task_id == task_id, LOG_STREAMS.c.stream == stream
    )


async def _lock(connection: AsyncConnection, task_id: str, stream: str) -> tuple[int, bool]:
    """Hold the stream's row until the transaction ends; return (size, sealed)."""
    row = LOG_STREAMS.c
    statement = (
        select(row.size, row.sealed_at)
        .where(row.task_id == task_id, row.stream == stream)
        .with_for_update()
    )
    found = (await connection.execute(statement)).one_or_none()
    if found is None:
        first = insert(LOG_STREAMS).values(task_id=task_id, stream=stream, size=0)
        await connection.execute(
            first.prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
        )
        found = (await connection.execute(statement)).one()
    return found.size, found.sealed_at is not None


async def _end_of(
    connection: AsyncConnection, task_id: str, stream: str, sandbox_id: str, number: int
) -> int | None:
    chunks = LOG_CHUNKS.c
    return await connection.scalar(
        select(chunks.start + func.length(chunks.text)).where(
            chunks.task_id == task_id,
            chunks.stream == stream,
            chunks.sandbox_id == sandbox_id,
            chunks.number == number,
        )
    )


def _from(chunk: LogChunk, after: int) -> LogChunk:
    if chunk.offset >= after:
        return chunk
    return LogChunk(offset=after, text=chunk.text[after - chunk.offset :])


def _cut_lines(text: bytes) -> bytes:
    if len(text) <= CHUNK_BYTES:
        return text
    return b"".join(_cut(line) for line in text.splitlines(keepends=True))


def _cut(line: bytes) -> bytes:
    if len(line) <= CHUNK_BYTES:
        return line
    # "ignore" drops a character that the cut went through.
    return line[: CHUNK_BYTES - len(_CUT)].decode("utf-8", "ignore").encode() + _CUT
