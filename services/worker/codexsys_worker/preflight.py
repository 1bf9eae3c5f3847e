"""The pre-flight gate: a task that says too little is asked about before any sandbox is made for it."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog

from codexsys_core.clock import Clock
from codexsys_core.errors import PlatformError, TooLarge
from codexsys_core.event import EventStore, EventType
from codexsys_core.ids import Ids
from codexsys_core.patch import PatchBench
from codexsys_core.preflight import MOST_ROUNDS, ModelCalls, Unreadable, concerned, request
from codexsys_core.principal import hash_secret, new_secret
from codexsys_core.question import Asked
from codexsys_core.sandbox import Sandbox, SandboxRole, SandboxStore
from codexsys_worker.asking import Asking, Waits
from codexsys_worker.work import Lost, Prepared, Work

ROUND_SECONDS = 120.0
_DONE = ("ready", "failed")
"""How a round ends after which none follows. What ended otherwise asked, or was cut off."""


class Preflight:
    """Asks a model whether it knows enough. Whatever goes wrong with that, the task goes on.

    Each round is a row of a sandbox that is never made: its token is good for model calls alone,
    and dies with the row, which suspension, cancel and takeover end like all others. Rounds are
    counted from these rows, so no crash makes them more.
    """

    def __init__(
        self,
        *,
        sandboxes: SandboxStore,
        events: EventStore,
        calls: ModelCalls,
        asking: Asking,
        bench: PatchBench,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._sandboxes = sandboxes
        self._events = events
        self._calls = calls
        self._asking = asking
        self._bench = bench
        self._clock = clock
        self._ids = ids

    async def look(self, work: Work, prepared: Prepared) -> None:
        """Return where the work may begin, raise `Waits` with what is to be asked before."""
        begun = work.living or work.engine_state or work.earlier_patch
        if begun or not concerned(work.spec):
            return
        rows = await self._sandboxes.of_task(work.task.id)
        rounds = [row for row in rows if row.role is SandboxRole.PREFLIGHT]
        if len(rounds) >= MOST_ROUNDS or any(row.end_reason in _DONE for row in rounds):
            return
        if asked := await self._round(work, prepared, number=len(rounds) + 1):
            raise Waits(*asked)

    async def _round(self, work: Work, prepared: Prepared, *, number: int) -> list[Asked]:
        token = new_secret()
        row = self._row(work, token)
        if not await self._sandboxes.add(work.hold, row):
            raise Lost
        ended = "closed"
        try:
            asked, problem = await self._asked(work, prepared, token)
            ended = "failed" if problem else "asks" if asked else "ready"
            await self._tell(work, {"round": number, "outcome": ended, **problem})
        finally:
            # What is asked ends with the suspension; until then the round may be had once more.
            if ended != "asks":
                await asyncio.shield(self._sandboxes.end(work.hold, row.id, ended))
        return asked

    async def _asked(
        self, work: Work, prepared: Prepared, token: str
    ) -> tuple[list[Asked], dict[str, str]]:
        """Return what the model asks; and what went wrong, if so."""
        paths: list[str] = []
        with suppress(TooLarge):
            paths = await self._bench.paths(work.base_dir, prepared.base.tree)
        wanted = request(work.spec, check=work.checks.command, paths=paths, answers=work.answers)
        try:
            text = await work.unless_stopped(self._calls.answer(token, wanted))
            return self._asking.read_reply(text), {}
        except Unreadable as error:
            problem = {"code": "unreadable", "detail": str(error)}
        except PlatformError as error:
            problem = {"code": error.code, "detail": error.message[:500]}
        structlog.get_logger().warning(
            "not asked before it begins", task_id=work.task.id, **problem
        )
        return [], problem

    async def _tell(self, work: Work, data: dict[str, Any]) -> None:
        hold = work.hold
        kind = EventType.TASK_PREFLIGHT
        if not await self._events.append(work.task.id, kind, data, attempt=hold.number, hold=hold):
            raise Lost

    def _row(self, work: Work, token: str) -> Sandbox:
        """Return a row that says that nothing is there: nobody makes, reaches or clears it away."""
        now = self._clock.now()
        return Sandbox(
            id=self._ids.new("sbx"),
            task_id=work.task.id,
            tenant_id=work.task.tenant_id,
            attempt_id=work.hold.attempt_id,
            attempt=work.hold.number,
            fence=work.hold.fence,
            role=SandboxRole.PREFLIGHT,
            backend="nothing",
            place="nowhere",
            token_hash=hash_secret(token),
            deadline=now + timedelta(seconds=ROUND_SECONDS),
            created_at=now,
            destroyed_at=now,
        )
