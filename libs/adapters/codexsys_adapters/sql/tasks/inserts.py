"""The rows that a new task is made of."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Float, bindparam, insert, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.quick import QuickInsert, QuickRead, Reading, Rows, add_and_read
from codexsys_adapters.sql.tables import (
    ATTEMPTS,
    EVENTS,
    IDEMPOTENCY,
    LABELS,
    TASKS,
    TENANTS,
    WALLETS,
)
from codexsys_adapters.sql.tasks.needs import note_needs
from codexsys_adapters.sql.tasks.rows import task_values
from codexsys_adapters.sql.tenants.idempotency import new_key
from codexsys_adapters.sql.tenants.quotas import own_cap_in_turn, queued, queued_of
from codexsys_adapters.sql.times import after_sql, now_sql
from codexsys_core.attempt import Attempt
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import AttemptState
from codexsys_core.ready import AGING
from codexsys_core.task import Task
from codexsys_core.wallet import NO_LIMIT_MICROS

Constant = ColumnElement[Any]
_STATEMENT_CHARACTERS = 1 << 20
"""A server takes no statement over 16 MB, and a task may have one of a megabyte."""


_NOTHING: Constant = literal_column("0")
_SPENT = (
    "calls",
    "input_tokens",
    "output_tokens",
    "cached_tokens",
    "micros",
    "reserved_tokens",
    "reserved_micros",
)
_WAITS: Constant = literal_column(f"'{AttemptState.QUEUED.value}'")
_FIRST: dict[str, Constant] = {
    "seq": literal_column("1"),
    "type": literal_column(f"'{EventType.TASK_QUEUED.value}'"),
    "data": literal_column("""'{"status":"queued"}'"""),
}
"""What is the same in all rows stands in the statements: a driver has to write each value down."""
_TASK = (
    "id",
    "tenant_id",
    "created_by",
    "retry_of",
    "spec",
    "source_url",
    "status",
    "attempt",
    "seq",
    "created_at",
)
_ATTEMPT = ("id", "task_id", "tenant_id", "number")
_WALLET = ("task_id", "limit_calls", "limit_tokens", "limit_micros")
_EVENT = ("task_id", "attempt")
_KEY = ("tenant_id", "key", "fingerprint", "task_id")
_LABEL = ("task_id", "tenant_id", "name", "value")


class NewTask(NamedTuple):
    """What one submit brings."""

    task: Task
    attempt: Attempt
    idempotency: Idempotency | None = None
    upload_id: str | None = None


class Queued(NamedTuple):
    """How much of a tenant's may wait (0: as much as comes), and does."""

    most: int
    waiting: int
    own: bool
    """Whether the cap is the tenant's own."""


class Inserts:
    """All that a new task consists of, table by table. Built once: that costs more than running it does."""

    def __init__(self, database: Database) -> None:
        late = after_sql(bindparam("patience", type_=Float))
        turn = after_sql(bindparam("aging", type_=Float))
        times = {"due_at": now_sql(), "turn_at": turn, "created_at": now_sql()}
        waits = {"state": _WAITS, "fence": _NOTHING, "takeovers": _NOTHING}
        spent = dict.fromkeys(_SPENT, _NOTHING)
        self._keys = QuickInsert(database, insert(IDEMPOTENCY).values(created_at=now_sql()), _KEY)
        self._tasks = QuickInsert(database, insert(TASKS).values(queue_until=late), _TASK)
        self._attempts = QuickInsert(database, insert(ATTEMPTS).values(**times, **waits), _ATTEMPT)
        self._wallets = QuickInsert(database, insert(WALLETS).values(**spent), _WALLET)
        self._events = QuickInsert(database, insert(EVENTS).values(at=now_sql(), **_FIRST), _EVENT)
        self._labels = QuickInsert(database, insert(LABELS), _LABEL)
        queues = select(TENANTS.c.id, TENANTS.c.max_queued, queued_of(TENANTS.c.id))
        self._queues = QuickRead(database, queues, TENANTS.c.id)

    async def task(self, connection: AsyncConnection, new: NewTask) -> None:
        """Insert a task itself; `IntegrityError` when it was stored before."""
        await self._tasks.add(connection, [_task_row(new.task)])

    async def parts(self, connection: AsyncConnection, new: NewTask, read: QuickRead) -> Rows:
        """Insert what belongs to a task that is there now; return what there is to read of it then."""
        rows = await add_and_read(connection, self._parts([new]), read, [new.task.id])
        await note_needs(connection, new.task)
        return rows

    async def whole(
        self,
        connection: AsyncConnection,
        news: Sequence[NewTask],
        read: Reading,
        given: Any,
        *,
        last: bool = False,
    ) -> Rows:
        """Insert tasks with all that belongs to them, and what was promised of those that have a key.

        The `last` of a transaction is committed with it; nothing may need what others keep then.
        """
        keys = [
            new_key(each.task.tenant_id, each.task.id, each.idempotency)
            for each in news
            if each.idempotency is not None
        ]
        *first, rest = _cut([_task_row(each.task) for each in news])
        for rows in first:
            await self._tasks.add(connection, rows)
        inserts = [(self._keys, keys), (self._tasks, rest), *self._parts(news)]
        found = await add_and_read(connection, inserts, read, given, last=last)
        if not last:
            for each in news:
                await note_needs(connection, each.task)
        return found

    def _parts(self, news: Sequence[NewTask]) -> list[tuple[QuickInsert, list[dict[str, Any]]]]:
        return [
            (self._attempts, [_attempt_row(each) for each in news]),
            (self._wallets, [_full_wallet(each.task) for each in news]),
            (self._events, [_first_event(each) for each in news]),
            (self._labels, [row for each in news for row in _labels(each.task)]),
        ]

    async def may_queue(self, connection: AsyncConnection, tenant_id: str, default: int) -> Queued:
        """Return a tenant's queue. Where the cap is its own, submits come one by one from here on.

        Submits at the same moment do not see each other otherwise: the default cap may be passed by
        as many as there are.
        """
        rows = await self._queues.on(connection, [tenant_id])
        _, own, count = rows[0] if rows else (tenant_id, None, None)
        if own:
            own = await own_cap_in_turn(connection, tenant_id)
            count = None  # others were waited for
        most = default if own is None else own
        if count is None and most:
            count = await queued(connection, tenant_id)
        return Queued(most, int(count or 0), own is not None)


def _cut(rows: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of tasks in pieces that a server takes as one statement."""
    piece: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        if piece and size + len(row["spec"]) > _STATEMENT_CHARACTERS:
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += len(row["spec"])
    yield piece


def _task_row(task: Task) -> dict[str, Any]:
    return task_values(task) | {"patience": float(task.spec.limits.queue_seconds)}


def _attempt_row(new: NewTask) -> dict[str, Any]:
    attempt = new.attempt
    return {
        "id": attempt.id,
        "task_id": attempt.task_id,
        "tenant_id": attempt.tenant_id,
        "number": attempt.number,
        "aging": new.task.spec.priority * AGING.total_seconds(),
    }


def _first_event(new: NewTask) -> dict[str, Any]:
    return {"task_id": new.task.id, "attempt": new.attempt.number}


def _labels(task: Task) -> list[dict[str, Any]]:
    return [
        {"task_id": task.id, "tenant_id": task.tenant_id, "name": name, "value": value}
        for name, value in task.spec.labels.items()
    ]


def _full_wallet(task: Task) -> dict[str, Any]:
    limits = task.spec.limits
    return {
        "task_id": task.id,
        "limit_calls": limits.calls,
        "limit_tokens": limits.tokens,
        "limit_micros": NO_LIMIT_MICROS
        if limits.cost_usd is None
        else round(limits.cost_usd * 1_000_000),
    }
