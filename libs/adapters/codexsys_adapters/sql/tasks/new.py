"""New tasks: whole or not at all, and those that come at the same moment by one transaction."""

from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Float, bindparam, insert, literal_column, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.faults import Locked
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
from codexsys_adapters.sql.tasks.needs import needs_of, note_needs
from codexsys_adapters.sql.tasks.places import COUNTED_SECONDS, LONG, Mark, Places
from codexsys_adapters.sql.tasks.rows import task_values
from codexsys_adapters.sql.tenants.idempotency import new_key, once, taken_keys
from codexsys_adapters.sql.tenants.quotas import own_cap_in_turn, queued, queued_of
from codexsys_adapters.sql.tenants.uploads import use
from codexsys_adapters.sql.times import after_sql, naive, now_sql
from codexsys_core.attempt import Attempt
from codexsys_core.errors import RateLimited
from codexsys_core.event import EventType
from codexsys_core.idempotency import Idempotency
from codexsys_core.moves import AttemptState
from codexsys_core.ready import AGING, turn_at
from codexsys_core.task import Task
from codexsys_core.together import Together
from codexsys_core.wallet import NO_LIMIT_MICROS

Constant = ColumnElement[Any]
QUEUE_FULL_SECONDS = 15
_STATEMENT_CHARACTERS = 1 << 20
"""A server takes no statement over 16 MB, and a task may have one of a megabyte."""
_CLOCKS = AGING / 2
"""Ours and the database's differ by less; a step of priority is more."""


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


class Desk:
    """Takes the new tasks of one tenant: whose locks nobody else waits for.

    What cannot be written beside its neighbours is written alone: it has a known key, an upload, or a
    key that another process is just writing.
    """

    def __init__(
        self, database: Database, inserts: Inserts, places: Places, *, tenant_id: str, most: int
    ) -> None:
        self._database = database
        self._inserts = inserts
        self._places = places
        self._tenant_id = tenant_id
        self._most = most
        # A long queue that is far from its cap is not counted for each batch.
        self._default, self._counted, self._counted_until = 0, 0, 0.0
        self._asked: Together[NewTask, int | None] = Together(self._some)

    async def add(self, new: NewTask) -> int | None:
        """Store a task and return its place; None when there is one of its key, or it was there."""
        if new.upload_id is None:
            place = await self._asked.ask(new)
            if place is not None:
                return place
        places: list[int] = []

        async def alone(connection: AsyncConnection) -> None:
            places.append(await self._alone(connection, new))

        try:
            made = await once(self._database, self._tenant_id, new.task.id, new.idempotency, alone)
        except IntegrityError:
            return None  # this very task was committed before its connection broke
        return places[-1] if made == new.task.id else None

    async def _alone(self, connection: AsyncConnection, new: NewTask) -> int:
        if new.upload_id is not None:
            await use(connection, new.upload_id, new.task)
        await self._inserts.task(connection, new)
        most, count, _ = await self._inserts.may_queue(connection, self._tenant_id, self._most)
        if most and count >= most:
            raise _full(most)
        turns = await self._inserts.parts(connection, new, self._places.turns)
        return (await self._placed(connection, turns))[new.task.id]

    async def _some(self, news: Sequence[NewTask]) -> Sequence[int | Exception | None]:
        try:
            return await self._database.transact(lambda connection: self._write(connection, news))
        except (IntegrityError, Locked):
            return [None] * len(news)

    async def _placed(self, connection: AsyncConnection, turns: Rows) -> dict[str, int]:
        """Return the places of what this transaction has added, before anybody can claim it."""
        seen = await self._places.seen(connection, turns)
        return {task_id: place for task_id, (_, place) in seen.items()}

    async def _write(
        self, connection: AsyncConnection, news: Sequence[NewTask]
    ) -> Sequence[int | Exception | None]:
        fresh = await self._fresh(connection, news)
        most, room = await self._room(connection)
        made, over = fresh[:room], fresh[room:] if room is not None else []
        # They may be stored already, where an earlier answer was lost: that is found out alone.
        stored = await _stored(connection, over) if over else set()
        answers: dict[str, int | Exception] = {**await self._added(connection, made)}
        self._counted += len(made)
        answers |= {each.task.id: _full(most) for each in over if each.task.id not in stored}
        return [answers.get(each.task.id) for each in news]

    async def _added(self, connection: AsyncConnection, news: Sequence[NewTask]) -> dict[str, int]:
        """Insert tasks; return their places.

        Where a long queue was counted a moment ago, they come behind what was counted: then all of it,
        the commit too, is one message. What has a higher priority than the last one is looked for.
        """
        if not news:
            return {}
        places, ids = self._places, [each.task.id for each in news]
        mark = places.last(self._tenant_id)
        if mark is None or not all(_goes_behind(each.task, mark) for each in news):
            turns = await self._inserts.whole(connection, news, places.turns, ids)
            return await self._placed(connection, turns)
        asked = places.asked(self._tenant_id, mark)
        rows = await self._inserts.whole(connection, news, places.behind, asked, last=True)
        found = places.told(self._tenant_id, mark, set(ids), rows)
        if lost := [each for each in ids if each not in found]:
            found |= await self._placed(connection, await places.turns.on(connection, lost))
        return dict.fromkeys(ids, 0) | found  # who has been claimed by now waits for nobody

    async def _fresh(
        self, connection: AsyncConnection, news: Sequence[NewTask]
    ) -> Sequence[NewTask]:
        """Return those whose key nobody has, of each key the first."""
        first = {each.idempotency.key: each for each in reversed(news) if each.idempotency}
        if not first:
            return news
        taken = await taken_keys(connection, self._tenant_id, first)
        return [
            each
            for each in news
            if each.idempotency is None
            or (each.idempotency.key not in taken and each is first[each.idempotency.key])
        ]

    async def _room(self, connection: AsyncConnection) -> tuple[int, int | None]:
        """Return the tenant's cap and how many more it may have queued, None for as many as come."""
        if LONG <= self._counted <= self._default // 2 and monotonic() < self._counted_until:
            return self._default, self._default - self._counted
        most, count, own = await self._inserts.may_queue(connection, self._tenant_id, self._most)
        if not most:
            return most, None
        self._default = 0 if own else most
        self._counted = count
        self._counted_until = monotonic() + COUNTED_SECONDS
        return most, max(0, most - self._counted)


def _goes_behind(task: Task, mark: Mark) -> bool:
    """Say whether it may be taken for granted that a task comes behind what was counted, and needs nothing."""
    turn = naive(turn_at(task.created_at, task.spec.priority))
    return turn + _CLOCKS >= mark.turn[0] and not needs_of(task)


async def _stored(connection: AsyncConnection, news: Sequence[NewTask]) -> set[str]:
    ids = [each.task.id for each in news]
    return set((await connection.execute(select(TASKS.c.id).where(TASKS.c.id.in_(ids)))).scalars())


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


def _full(most: int) -> RateLimited:
    return RateLimited(
        f"You may have {most} tasks queued, and have. Wait until some have run, or cancel some.",
        code="queue_full",
        retry_after=QUEUE_FULL_SECONDS,
        policy=("queued", most, 0),
    )
