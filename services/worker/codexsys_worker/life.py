"""One attempt's life, as a table of contents: prepare → run → verify → finish."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import structlog

from codexsys_core.attempt import AttemptStore
from codexsys_core.end_reasons import EndReason
from codexsys_core.errors import NotFound, PlatformError, SandboxError, Unavailable
from codexsys_core.event import EventStore, EventType
from codexsys_core.flags import flags_of
from codexsys_core.moves import Phase
from codexsys_core.outcome import Outcome
from codexsys_core.patch import PatchBench, PatchRefused
from codexsys_core.sandbox import SandboxRole
from codexsys_core.source import SourceFailure
from codexsys_core.verdict import CheckRun, Evidence, Verdict
from codexsys_worker.admission import Admission
from codexsys_worker.approval import Approvals, refused
from codexsys_worker.asking import Asking, Waits
from codexsys_worker.baselines import Baselines
from codexsys_worker.finish import Finisher, Result
from codexsys_worker.keep import Keeper
from codexsys_worker.preflight import Preflight
from codexsys_worker.prepare import Preparer
from codexsys_worker.retries import Retries
from codexsys_worker.room import Room
from codexsys_worker.rounds import Rounds, rejection
from codexsys_worker.run import AgentRun, Round, show
from codexsys_worker.setup import Setup, Setups
from codexsys_worker.stages import StageFailed
from codexsys_worker.verify import Verifier
from codexsys_worker.work import Ended, Forsaken, Lost, Work

LIFE = 3
"""Raise it whenever a life begun by the former version could not be gone through again by this one:
when steps come in another order, or phases, parts of a log, numbers of checkpoints or files of a
sandbox have other names or contents. A worker adopts no life but its own; those of others go on in
a new sandbox, from their last checkpoint."""
_CANCELLED = Outcome(reason=EndReason.CANCELLED)
_SANDBOX_ENDS = {
    reason.value: reason
    for reason in (
        EndReason.SANDBOX_LOST,
        EndReason.IMAGE_NOT_FOUND,
        EndReason.IMAGE_NOT_ALLOWED,
        EndReason.IMAGE_UNUSABLE,
        EndReason.SERVICES_NOT_SUPPORTED,
    )
}


class Life:
    """Sees attempts through. Whatever happens, the attempt ends, is queued again, or is lost."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        events: EventStore,
        preparer: Preparer,
        setups: Setups,
        admission: Admission,
        bench: PatchBench,
        finisher: Finisher,
        retries: Retries,
        asking: Asking,
        preflight: Preflight,
        keeper: Keeper,
        baselines: Baselines,
        approvals: Approvals,
        instructions: str,
    ) -> None:
        self._attempts = attempts
        self._events = events
        self._preparer = preparer
        self._setups = setups
        self._admission = admission
        self._bench = bench
        self._finisher = finisher
        self._retries = retries
        self._asking = asking
        self._preflight = preflight
        self._keeper = keeper
        self._baselines = baselines
        self._approvals = approvals
        self._instructions = instructions

    async def see_through(self, work: Work) -> None:
        """Work until the attempt is over; never raises for the user's or a sandbox's failure.

        The agent's sandbox is there until its end is written, so that whoever has to carry on finds
        all that was done. An adopted attempt goes the same way again, with the same names: what has
        been done ends at once, what still runs is waited for.
        """
        log = structlog.get_logger().bind(
            task_id=work.task.id, attempt=work.hold.number, fence=work.hold.fence
        )
        try:
            async with AsyncExitStack() as rooms:
                await self._to_its_end(work, rooms)
        except Lost:
            log.info("attempt lost to another owner")
        except PlatformError as error:
            # Nothing was concluded: the lease runs out and somebody carries on from the checkpoint.
            log.warning("attempt left alone", code=error.code, error=error.message)

    async def _to_its_end(self, work: Work, rooms: AsyncExitStack) -> None:
        try:
            result = await self._outcome(work, rooms)
            if work.cancelled and not result.outcome.good:
                result = replace(result, outcome=_CANCELLED)
            await self._conclude(work, result)
        except Waits as waits:
            await self._asking.suspend(work, waits)
        except Forsaken as error:
            outcome = Outcome(reason=EndReason.SANDBOX_LOST, detail=str(error))
            await self._retries.give_back(work, outcome)

    async def _outcome(self, work: Work, rooms: AsyncExitStack) -> Result:
        try:
            return await self._work(work, rooms)
        except Ended:
            return await self._salvaged(work, work.end or _CANCELLED)
        except SourceFailure as failure:
            outcome = Outcome(reason=EndReason(failure.reason), detail=failure.detail)
            return await self._salvaged(work, outcome)
        except StageFailed as failure:
            return await self._salvaged(work, failure.outcome)
        except SandboxError as error:
            reason = _SANDBOX_ENDS.get(error.code, EndReason.SANDBOX_FAILED)
            return await self._salvaged(work, Outcome(reason=reason, detail=error.message))
        except Unavailable as error:
            outcome = _store_away(work, error)
            return Result(outcome, unsaved=await self._preparer.last_change(work) is not None)
        except (Lost, Waits, Forsaken):
            raise
        except Exception:
            if work.lost:  # its folders may be another's to clear already
                raise Lost from None
            structlog.get_logger().exception("nobody foresaw this", task_id=work.task.id)
            return await self._salvaged(work, Outcome(reason=EndReason.INTERNAL))

    async def _salvaged(self, work: Work, outcome: Outcome) -> Result:
        """Hand out what the agent had done by its last checkpoint, or leave it to that."""
        checkpoint = await self._preparer.last_change(work)
        if checkpoint is None:
            return Result(outcome)
        if not work.base_dir.exists():
            return Result(outcome, unsaved=True)
        try:
            patch = await self._preparer.patch_of(work, checkpoint)
            return Result(outcome, patch=await self._bench.apply(work.base_dir, patch))
        except PatchRefused:
            return Result(outcome)
        except (NotFound, Unavailable):
            return Result(outcome, unsaved=True)

    async def _work(self, work: Work, rooms: AsyncExitStack) -> Result:
        if not await self._admission.serves(work.task.tenant_id):
            raise StageFailed(Outcome(reason=EndReason.TENANT_NOT_SERVED))
        await show(self._attempts, work, Phase.CLONING)
        prepared = await self._preparer.prepare(work)
        work.check()
        await self._asking.recall(work)
        if approved := await self._approvals.recall(work):
            return approved
        setup = self._setups.of(work, prepared)
        await self._preflight.look(work, prepared)
        room = await rooms.enter_async_context(setup.room(SandboxRole.AGENT))
        run = self._run_in(room, work, setup)
        await run.settle_in()
        if work.spec.mode == "explain":
            done = await run.go(None, [])
            return Result(done.outcome, outputs=done.collected.outputs)
        return await self._modify(work, setup, run)

    async def _modify(self, work: Work, setup: Setup, run: AgentRun) -> Result:
        verifier = Verifier(work=work, setup=setup, baselines=self._baselines, bench=self._bench)
        baseline = await verifier.baseline()
        notes: list[str] = []
        rounds = Rounds(left=self._rounds(work))
        while True:
            done = await run.go(baseline, notes)
            result = await self._weigh(work, run, verifier, baseline, done)
            if not rounds.again(result):
                break
            better = rounds.better_than(result)
            if better is not None and not await run.roll_back(result.patch, better.patch):
                better = None
            notes = [*notes, rejection(result, verifier.tail, stands=better)]
        await run.move(Phase.COMMITTING)
        result = rounds.outcome(result)
        await self._approvals.ask(work, result)
        return result

    def _run_in(self, room: Room, work: Work, setup: Setup) -> AgentRun:
        return AgentRun(
            attempts=self._attempts,
            room=room,
            work=work,
            setup=setup,
            asking=self._asking,
            keeper=self._keeper,
            instructions=self._instructions,
        )

    def _rounds(self, work: Work) -> int:
        return work.spec.limits.verify_rounds if work.spec.engine == "builtin" else 0

    async def _weigh(
        self, work: Work, run: AgentRun, verifier: Verifier, baseline: CheckRun | None, done: Round
    ) -> Result:
        """Apply the patch in an index and, if the agent finished, find the verdict."""
        outputs = done.collected.outputs
        try:
            patch = await self._bench.apply(work.base_dir, done.collected.patch)
        except PatchRefused as refusal:
            outcome = Outcome(reason=EndReason.PATCH_REFUSED, detail=str(refusal))
            return replace(await self._salvaged(work, outcome), outputs=outputs)
        if not done.outcome.good:
            return Result(done.outcome, patch=patch, outputs=outputs)
        if patch.empty:
            evidence = Evidence(verdict=Verdict.NO_CHANGE, sentences=["The agent changed no file."])
            return Result(
                _told(done.outcome, EndReason.NO_CHANGE),
                evidence=evidence,
                patch=patch,
                outputs=outputs,
            )
        await run.move(Phase.TESTING)
        flags = await asyncio.to_thread(flags_of, patch)
        judged = await verifier.judge(patch, baseline, run.setup_paths)
        evidence, reason = (
            judged.model_copy(update={"flags": [*flags, *judged.flags], "tree": patch.tree}),
            judged.verdict.end_reason,
        )
        if told := refused(work, evidence):
            evidence = told
            reason = EndReason.POLICY_REFUSED if reason is EndReason.FINISHED else reason
        await self._tell(work, evidence)
        return Result(
            _told(done.outcome, reason),
            evidence=evidence,
            patch=patch,
            outputs=outputs,
        )

    async def _tell(self, work: Work, evidence: Evidence) -> None:
        data: dict[str, Any] = {
            "verdict": evidence.verdict.value,
            "tree": evidence.tree,
            "before": evidence.before,
            "after": evidence.after,
        }
        if not await self._events.append(
            work.task.id, EventType.VERIFY_RESULT, data, attempt=work.hold.number, hold=work.hold
        ):
            raise Lost

    async def _conclude(self, work: Work, result: Result) -> None:
        if await self._retries.again(work, result.outcome):
            return
        try:
            await self._finisher.finish(work, result)
        except Unavailable as error:
            empty = Result(_store_away(work, error))
            if not await self._retries.again(work, empty.outcome):
                await self._finisher.end(work, empty, [])


def _store_away(work: Work, error: Unavailable) -> Outcome:
    """Return the outcome when the store was waited for in vain; raises for any other part that is away."""
    if error.code != EndReason.STORE_UNAVAILABLE.value:
        raise error
    if work.lost:
        raise Lost
    if work.end:
        return work.end
    return Outcome(reason=EndReason.STORE_UNAVAILABLE, detail=error.message)


def _told(outcome: Outcome, reason: EndReason) -> Outcome:
    return Outcome(reason=reason, detail=outcome.detail)
