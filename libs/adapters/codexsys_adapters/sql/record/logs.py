"""Log streams: redacted, numbered by byte, without a gap."""

from sqlalchemy import Update, bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.attempts.fenced import held
from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.record.lines import Line, Lines
from codexsys_adapters.sql.tables import LOG_CHUNKS, LOG_STREAMS
from codexsys_adapters.sql.times import now_sql
from codexsys_core.attempt import Hold
from codexsys_core.errors import Conflict
from codexsys_core.log import CHUNK_BYTES, FILES, PUBLIC_STREAMS, LogChunk, Piece, Redactor

_PART = 1 << 40
"""Numbers of pieces are of one part up to here: no phase says more."""
_CUT = " … [line cut]\n".encode()


class SqlLogs:
    """A `LogStore` on SQL."""

    def __init__(self, *, database: Database, redactor: Redactor) -> None:
        self._database = database
        self._redactor = redactor
        self._lines = {stream: Lines(database, stream) for stream in FILES}

    async def append(
        self, task_id: str, sandbox_id: str, stream: str, number: int, text: bytes
    ) -> int:
        """Add a chunk and return the offset after it; what is not UTF-8 is replaced.

        Redaction sees the lines whole. Then, in streams that people follow, a line over 64 KiB
        loses its end.
        """
        clean = self._clean(stream, text)
        added = await self._lines[stream].add(Line(task_id, sandbox_id, number, clean))
        if added is not None:
            return added

        async def statements(connection: AsyncConnection) -> int:
            size, sealed = await _lock(connection, task_id, stream)
            known = await _end_of(connection, task_id, stream, sandbox_id, number)
            if known is not None:
                return known
            if sealed:
                raise _sealed()
            if clean:
                await _add(connection, task_id, stream, size, sandbox_id, number, clean)
            return size + len(clean)

        return await self._database.transact(statements)

    async def extend(
        self, task_id: str, sandbox_id: str, stream: str, piece: Piece, text: bytes
    ) -> int:
        """Add a piece that follows what is there; return where its part goes on."""
        clean = self._clean(stream, text)

        async def statements(connection: AsyncConnection) -> int:
            size, sealed = await _lock(connection, task_id, stream)
            last = await _last(connection, task_id, stream, sandbox_id)
            reached = _within(last, piece.part)
            if reached is None:
                return piece.end
            if reached != piece.start:
                return reached
            if sealed:
                raise _sealed()
            number = piece.part * _PART + piece.end
            await _add(connection, task_id, stream, size, sandbox_id, number, clean)
            return piece.end

        return await self._database.transact(statements)

    async def reached(self, task_id: str, sandbox_id: str, stream: str, part: int) -> int | None:
        """Return up to which offset a part is there, None when a later one is."""
        return await self._database.look(lambda c: _reached(c, task_id, stream, sandbox_id, part))

    def _clean(self, stream: str, text: bytes) -> bytes:
        clean = self._redactor.redact(text.decode("utf-8", "replace").encode())
        return _cut_lines(clean) if stream in PUBLIC_STREAMS else clean

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
    wanted = {"wanted_task": task_id, "wanted_stream": stream}
    found = (await connection.execute(_LOCK, wanted)).one_or_none()
    if found is None:
        first = insert(LOG_STREAMS).values(task_id=task_id, stream=stream, size=0)
        await connection.execute(
            first.prefix_with("IGNORE", dialect="mysql").prefix_with("OR IGNORE", dialect="sqlite")
        )
        found = (await connection.execute(_LOCK, wanted)).one()
    return found.size, found.sealed_at is not None


async def _add(
    connection: AsyncConnection,
    task_id: str,
    stream: str,
    size: int,
    sandbox_id: str,
    number: int,
    clean: bytes,
) -> None:
    chunk = {"task_id": task_id, "stream": stream, "start": size, "text": clean}
    await connection.execute(_CHUNK, {**chunk, "sandbox_id": sandbox_id, "number": number})
    wanted = {"wanted_task": task_id, "wanted_stream": stream}
    await connection.execute(_GROW, {**wanted, "more": len(clean)})


def _sealed() -> Conflict:
    return Conflict("The log is complete; nothing can be added.", code="log_sealed")


async def _last(connection: AsyncConnection, task_id: str, stream: str, sandbox_id: str) -> int:
    """Return the greatest number of a sandbox's pieces, -1 without any."""
    chunks = LOG_CHUNKS.c
    greatest = select(func.max(chunks.number)).where(
        chunks.task_id == task_id, chunks.stream == stream, chunks.sandbox_id == sandbox_id
    )
    last = await connection.scalar(greatest)
    return -1 if last is None else int(last)


async def _reached(
    connection: AsyncConnection, task_id: str, stream: str, sandbox_id: str, part: int
) -> int | None:
    return _within(await _last(connection, task_id, stream, sandbox_id), part)


def _within(last: int, part: int) -> int | None:
    """Return up to where a part is there, None when a later one has begun."""
    if last >= (part + 1) * _PART:
        return None
    return max(last - part * _PART, 0)


async def _end_of(
    connection: AsyncConnection, task_id: str, stream: str, sandbox_id: str, number: int
) -> int | None:
    wanted = {"wanted_task": task_id, "wanted_stream": stream, "sender": sandbox_id}
    found: int | None = await connection.scalar(_END, {**wanted, "numbered": number})
    return found


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


# Built once: SQLAlchemy takes longer to build a statement than to run it.
_LOCK = (
    select(LOG_STREAMS.c.size, LOG_STREAMS.c.sealed_at)
    .where(
        LOG_STREAMS.c.task_id == bindparam("wanted_task"),
        LOG_STREAMS.c.stream == bindparam("wanted_stream"),
    )
    .with_for_update()
)
_CHUNK = insert(LOG_CHUNKS)
_GROW = (
    update(LOG_STREAMS)
    .where(
        LOG_STREAMS.c.task_id == bindparam("wanted_task"),
        LOG_STREAMS.c.stream == bindparam("wanted_stream"),
    )
    .values(size=LOG_STREAMS.c.size + bindparam("more"))
)
_END = select(LOG_CHUNKS.c.start + func.length(LOG_CHUNKS.c.text)).where(
    LOG_CHUNKS.c.task_id == bindparam("wanted_task"),
    LOG_CHUNKS.c.stream == bindparam("wanted_stream"),
    LOG_CHUNKS.c.sandbox_id == bindparam("sender"),
    LOG_CHUNKS.c.number == bindparam("numbered"),
)
