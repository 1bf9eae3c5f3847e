"""New tasks: whole or not at all, and those that come at the same moment by one transaction."""

from collections.abc import Sequence
from time import monotonic

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from codexsys_adapters.sql.engine import Database
from codexsys_adapters.sql.faults import Locked
from codexsys_adapters.sql.quick import Rows
from codexsys_adapters.sql.tables import TASKS
from codexsys_adapters.sql.tasks.inserts import Inserts, NewTask
from codexsys_adapters.sql.tasks.needs import needs_of
from codexsys_adapters.sql.tasks.places import COUNTED_SECONDS, LONG, Mark, Places
from codexsys_adapters.sql.tenants.idempotency import once, taken_keys
from codexsys_adapters.sql.tenants.uploads import use
from codexsys_adapters.sql.times import naive
from codexsys_core.errors import RateLimited
from codexsys_core.ready import AGING, turn_at
from codexsys_core.task import Task
from codexsys_core.together import Together

QUEUE_FULL_SECONDS = 15
_CLOCKS = AGING / 2
"""Ours and the database's differ by less; a step of priority is more."""


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


def _full(most: int) -> RateLimited:
    return RateLimited(
        f"You may have {most} tasks queued, and have. Wait until some have run, or cancel some.",
        code="queue_full",
        retry_after=QUEUE_FULL_SECONDS,
        policy=("queued", most, 0),
    )
