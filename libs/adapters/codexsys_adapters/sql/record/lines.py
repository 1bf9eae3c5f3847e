"""Lines for the logs of many tasks: those that come at the same moment by one transaction."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, bindparam, insert, literal_column, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.faults import Locked
from codexsys_adapters.sql.quick import QuickChange, QuickInsert, QuickRead
from codexsys_adapters.sql.tables import LOG_CHUNKS, LOG_STREAMS
from codexsys_core.log import CHUNK_BYTES
from codexsys_core.together import Together

_CHUNK = ("task_id", "stream", "start", "sandbox_id", "number", "text")
_SIZE = ("task_id", "stream", "size")


class Line(NamedTuple):
    """What one sender has to add."""

    task_id: str
    sandbox_id: str
    number: int
    text: bytes


class Lines:
    """Adds lines to one stream, of those that there are, of many tasks.

    What cannot be added beside its neighbours is left to be added alone: a number that is there
    already, a stream that is sealed, and what is large.
    """

    def __init__(self, database: Database, stream: str) -> None:
        self._database = database
        self._stream = stream
        row = LOG_STREAMS.c
        here: ColumnElement[str] = literal_column(f"'{stream}'")
        known = (
            select(row.task_id, row.size, row.sealed_at)
            .where(row.stream == here)
            .with_for_update()
            .with_hint(LOG_STREAMS, "FORCE INDEX (PRIMARY)", "mysql")
        )
        self._streams = QuickRead(database, known, row.task_id)
        self._chunks = QuickInsert(database, insert(LOG_CHUNKS), _CHUNK)
        self._new = QuickInsert(database, insert(LOG_STREAMS), _SIZE)
        grown = update(LOG_STREAMS).where(row.task_id == bindparam("wanted"), row.stream == here)
        self._grow = QuickChange(database, grown.values(size=bindparam("reached")))
        self._asked: Together[Line, int | None] = Together(self._some)

    async def add(self, line: Line) -> int | None:
        """Add a line and return the offset after it; None when nothing was added."""
        if not 0 < len(line.text) <= CHUNK_BYTES // 2:  # a statement has its own limit
            return None
        return await self._asked.ask(line)

    async def _some(self, lines: Sequence[Line]) -> Sequence[int | None]:
        try:
            return await self._database.transact(lambda connection: self._write(connection, lines))
        except (IntegrityError, Locked):
            return [None] * len(lines)

    async def _write(
        self, connection: AsyncConnection, lines: Sequence[Line]
    ) -> Sequence[int | None]:
        found = await self._streams.on(connection, (line.task_id for line in lines))
        sizes = {task_id: size for task_id, size, sealed_at in found if sealed_at is None}
        sealed = {row[0] for row in found} - set(sizes)
        there, chunks, ends = set(sizes), [], []
        for line in lines:
            start = sizes.get(line.task_id, 0)
            if line.task_id not in sealed:
                chunks.append(self._chunk(line, start))
                sizes[line.task_id] = start + len(line.text)
            ends.append(None if line.task_id in sealed else sizes[line.task_id])
        await self._chunks.add(connection, chunks)
        for task_id in sorted(there):
            await self._grow.on(connection, wanted=task_id, reached=sizes[task_id])
        new = sorted(set(sizes) - there)
        rows = [{"task_id": each, "stream": self._stream, "size": sizes[each]} for each in new]
        await self._new.add(connection, rows)
        return ends

    def _chunk(self, line: Line, start: int) -> dict[str, Any]:
        return {**line._asdict(), "stream": self._stream, "start": start}
