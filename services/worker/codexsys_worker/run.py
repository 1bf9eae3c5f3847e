"""The agent's own sandbox: setup, the agent, and what it leaves."""

import json
from dataclasses import dataclass
from typing import Any

from codexsys_core.attempt import AttemptStore
from codexsys_core.end_reasons import EndReason
from codexsys_core.moves import Phase
from codexsys_core.outcome import Outcome
from codexsys_core.patch import Patch
from codexsys_core.preflight import MOST_AT_ONCE, MOST_ROUNDS, concerned
from codexsys_core.sandbox import PhaseEnd, PhaseSpec
from codexsys_core.task import TaskSpec
from codexsys_core.verdict import CheckRun
from codexsys_worker.asking import WAITS, Asking, Waits
from codexsys_worker.collect import Collected, collect
from codexsys_worker.keep import Keeper
from codexsys_worker.room import Room
from codexsys_worker.setup import Setup
from codexsys_worker.stages import APPLY_SECONDS, apply_patch, limit_outcome
from codexsys_worker.work import Lost, Work

OWN_ENDING_SECONDS = 30.0
"""The agent stops itself this long before its deadline, to leave a last checkpoint."""
CHECKPOINT_SECONDS = 20
"""What is stored is at most 30 seconds old: this, and the time to look at the tree and to send it."""
MOST_ASKED = 6
"""Questions that a person is asked by one task's agent; then it has to decide by itself."""
NUMBERS_PER_ROUND = 1_000_000
"""Events and checkpoints are numbered on from round to round of the same sandbox; the last is ours."""
_EXITS = {
    2: EndReason.AGENT_GAVE_UP,
    3: EndReason.STEPS_EXHAUSTED,
    4: EndReason.AGENT_STUCK,
    5: EndReason.MODEL_AUTH,
    6: EndReason.MODEL_UNAVAILABLE,
    7: EndReason.CONTEXT_OVERFLOW,
    8: EndReason.COMMAND_FAILED,
    9: EndReason.SANDBOX_NETWORK_OPEN,
    10: EndReason.GATEWAY_UNAVAILABLE,
    143: EndReason.CANCELLED,
}

# The tree is put back whole, or stays as it is.
_ROLL_BACK = """
set -e
apply() { git -c core.hooksPath=/dev/null apply --binary --whitespace=nowarn "$@"; }
apply -R /app/input/worse
if [ -s /app/input/better ] && ! apply /app/input/better; then apply /app/input/worse; exit 1; fi
"""
_MAY_BE_MEMORY = (EndReason.COMMAND_FAILED, EndReason.AGENT_CRASHED)
"""Ends whose cause was memory, when the phase lost a process to it."""


@dataclass(frozen=True)
class Round:
    """What one run of the agent came to."""

    outcome: Outcome
    collected: Collected


class AgentRun:
    """Drives the agent in an open sandbox; a rejected change goes back into the same one."""

    def __init__(
        self,
        *,
        attempts: AttemptStore,
        room: Room,
        work: Work,
        setup: Setup,
        asking: Asking,
        keeper: Keeper,
        instructions: str,
    ) -> None:
        self._instructions = instructions
        self._attempts = attempts
        self._keeper = keeper
        self._asking = asking
        self._room = room
        self._work = work
        self._setup = setup
        self._skip: list[dict[str, Any]] = []
        self._rounds = 0
        self._record = b""
        """What the rounds so far were, as the agent tells it."""

    async def settle_in(self) -> None:
        """Lay the base out, run setup, remember what setup made, apply earlier work."""
        await self.move(Phase.SETUP)
        await self._setup.run(self._room)
        made = await collect(self._room, name="collect-setup", skip=[], env={})
        self._skip = made.changed
        await apply_patch(self._room, self._work.earlier_patch, name="earlier")

    @property
    def setup_paths(self) -> frozenset[str]:
        """Return the paths that setup created or changed."""
        return frozenset(str(entry.get("path")) for entry in self._skip)

    async def go(self, baseline: CheckRun | None, notes: list[str]) -> Round:
        """Run the agent once and collect, however it ended; raises `Waits` when it has asked."""
        await self.move(Phase.ANALYZING if self._rounds == 0 else Phase.CODING)
        self._rounds += 1
        spec = self._work.spec
        phase = PhaseSpec(
            name=f"agent-{self._rounds}",
            argv=("codexsys-python", "-m", "codexsys_agent"),
            env=spec.environment.variables,
            files={
                "brief.json": json.dumps(self._brief(baseline, notes)).encode(),
                **({"earlier.json": self._record} if self._record else {}),
            },
            network="door",
            workspace="read" if spec.mode == "explain" else "write",
            seconds=float(spec.limits.wall_seconds),
        )
        end = await self._room.run(phase, stream="agent")
        env = spec.environment.variables
        collected = await collect(
            self._room, name=f"collect-{self._rounds}", skip=self._skip, env=env
        )
        self._record = collected.outputs.get("trajectory.json", b"")
        outcome = _outcome(end, collected)
        if not outcome.good:
            number = self._rounds * NUMBERS_PER_ROUND
            await self._keeper.keep(self._work, self._room.id, number=number, left=collected)
        asked = self._asking.read(self._work, collected) if end.exit_code == WAITS else None
        if asked is not None:
            raise Waits(asked)
        return Round(outcome=outcome, collected=collected)

    async def roll_back(self, worse: Patch | None, better: Patch | None) -> bool:
        """Put an earlier state of the agent's back into its tree; says whether that went well."""
        if worse is None or better is None:
            return False
        phase = PhaseSpec(
            name=f"rollback-{self._rounds}",
            argv=("bash", "-c", _ROLL_BACK),
            files={"worse": worse.diff, "better": better.diff},
            seconds=APPLY_SECONDS,
        )
        end = await self._room.run(phase)
        return end.reason is None and end.exit_code == 0

    async def move(self, phase: Phase) -> None:
        """Show the phase; raises `Lost` when the attempt is no longer ours."""
        await show(self._attempts, self._work, phase)

    def _brief(self, baseline: CheckRun | None, notes: list[str]) -> dict[str, Any]:
        spec = self._work.spec
        limits = spec.limits
        state = self._work.engine_state if self._rounds == 1 else b""
        return {
            "v": 1,
            "task_id": self._work.task.id,
            "attempt": self._work.hold.number,
            "mode": spec.mode,
            "engine": spec.engine,
            "model": spec.model,
            "instructions": self._instructions,
            "prompt": spec.prompt,
            "requirements": spec.requirements.model_dump(),
            "checks": {
                "command": self._work.checks.command,
                "strategy": self._work.checks.strategy,
                "baseline": _baseline(baseline),
            },
            "command": spec.command,
            "limits": {
                "steps": limits.steps,
                "tokens": limits.tokens,
                "wall_seconds": max(5.0, limits.wall_seconds - OWN_ENDING_SECONDS),
                "command_seconds": 120,
            },
            "door": "http://127.0.0.1:8700",
            "checkpoint_seconds": CHECKPOINT_SECONDS,
            "may_ask": spec.clarify == "ask" and self._work.task.asked < most_asked(spec),
            "allowed_commands": spec.environment.allowed_commands,
            "answers": self._work.answers,
            "resume": json.loads(state) if state else None,
            "notes": notes,
            "first_number": 1 + (self._rounds - 1) * NUMBERS_PER_ROUND,
            "made_by_setup": self._skip,
        }


def most_asked(spec: TaskSpec) -> int:
    """Return how many questions a task may have asked before its agent has to decide by itself.

    What may be asked before it begins takes nothing away from it.
    """
    return MOST_ASKED + (MOST_ROUNDS * MOST_AT_ONCE if concerned(spec) else 0)


async def show(attempts: AttemptStore, work: Work, phase: Phase) -> None:
    """Show the phase, unless it is behind us; raises `Lost` when the attempt is no longer ours."""
    if work.is_news(phase) and not await attempts.move(work.hold, phase):
        raise Lost


def _baseline(run: CheckRun | None) -> dict[str, Any] | None:
    if run is None or run.report is None:
        return None
    report = run.report
    return {
        "passed": len(report.passed),
        "failed": len(report.failed),
        "failing": sorted(report.failed)[:50],
    }


def _outcome(end: PhaseEnd, collected: Collected) -> Outcome:
    limit = limit_outcome(end)
    if limit is not None:
        return limit
    result = _result(collected)
    if end.exit_code == 0:
        return Outcome(reason=EndReason.FINISHED, detail=str(result.get("summary", ""))[:2000])
    reason = _EXITS.get(end.exit_code or 0, EndReason.AGENT_CRASHED)
    code = str(result.get("code", ""))
    if code in EndReason.__members__.values() and reason in (
        EndReason.MODEL_AUTH,
        EndReason.STEPS_EXHAUSTED,
    ):
        reason = EndReason(code)
    if end.oom_killed and reason in _MAY_BE_MEMORY:
        reason = EndReason.OUT_OF_MEMORY
    return Outcome(
        reason=reason, detail=str(result.get("summary") or result.get("detail", ""))[:2000]
    )


def _result(collected: Collected) -> dict[str, Any]:
    """Read what the agent says of itself: words for a person, never the verdict."""
    try:
        result = json.loads(collected.outputs.get("result.json", b"{}"))
    except (ValueError, RecursionError):  # nested without end, to bring the worker down
        return {}
    return result if isinstance(result, dict) else {}
