"""What a worker knows about the attempt that it is seeing through."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from codexsys_core.attempt import Claim, Hold, Living
from codexsys_core.end_reasons import EndReason
from codexsys_core.found_checks import FoundChecks
from codexsys_core.moves import PROGRESS, Phase
from codexsys_core.outcome import Outcome
from codexsys_core.source import Base
from codexsys_core.task import Task, TaskSpec
from codexsys_core.verdict import Checks

Answer = TypeVar("Answer")


class Lost(Exception):
    """The attempt is no longer ours: stop acting, leave its sandboxes alone."""


class Forsaken(Exception):
    """The living sandbox that came with an adopted attempt cannot be reached; nothing was done yet."""


class Ended(Exception):
    """The task must end, whatever is under way: it was cancelled, or its time is up."""


@dataclass
class Work:
    """One claimed attempt. `folder` is the worker's own, removed when the work is over."""

    task: Task
    hold: Hold
    folder: Path
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the work must end at once; `lost` and `end` say why."""
    lost: bool = False
    end: Outcome | None = None
    """How the task must end, when it must: cancelled, or overdue."""
    cancelled: bool = False
    """Whether it was to be cancelled before it came here: a former owner may have stopped what ran."""
    over: bool = False
    """Set when its end is written: what is left is to clear away."""
    living: Living | None = None
    """The sandbox of a former owner that is carried on with; what it did already is done again in name only."""
    earlier_patch: bytes = b""
    """A checkpoint's or an earlier task's change, applied once the network is closed."""
    engine_state: bytes = b""
    found: FoundChecks | None = None
    """How the base checks itself, where the submitter does not say how."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    """What was asked and answered so far, in order."""
    _shown: Phase | None = None

    @classmethod
    def of(cls, claim: Claim, folder: Path) -> "Work":
        """Start from a claim."""
        work = cls(task=claim.task, hold=claim.hold, folder=folder, living=claim.living)
        work._shown = claim.task.phase if claim.living else None
        work.cancelled = claim.attempt.cancel_at is not None
        return work

    @property
    def spec(self) -> TaskSpec:
        """Return what was asked for."""
        return self.task.spec

    @property
    def checks(self) -> Checks:
        """Return how the change is checked: as the submitter says, else as the base does."""
        checks = self.task.spec.checks
        return checks.model_copy(update={"command": self.found.command}) if self.found else checks

    @property
    def agent_fence(self) -> int:
        """Return the fence under which the agent's sandbox was made, which its checkpoints carry."""
        return self.living.fence if self.living else self.hold.fence

    def is_news(self, phase: Phase) -> bool:
        """Say whether to show a phase: not while an adopted attempt catches up with what is shown."""
        if self._shown is not None and PROGRESS[phase] < PROGRESS[self._shown]:
            return False
        self._shown = None
        return True

    @property
    def base_dir(self) -> Path:
        """Return where the base's bare git directory is unpacked."""
        return self.folder / "base.git"

    def tell_lost(self) -> None:
        """Somebody else owns the attempt now."""
        self.lost = True
        self.stop.set()

    def tell_end(self, outcome: Outcome) -> None:
        """The task must end so; what was told first counts."""
        self.end = self.end or outcome
        self.stop.set()

    def tell_time(self, now: datetime) -> None:
        """End a task whose whole time is up."""
        seconds = self.spec.limits.task_seconds
        if now >= (self.task.started_at or now) + timedelta(seconds=seconds):
            detail = f"The whole task took longer than task_seconds ({seconds})."
            self.tell_end(Outcome(reason=EndReason.DEADLINE, detail=detail))

    def check(self) -> None:
        """Raise when the work must end."""
        if self.lost:
            raise Lost
        if self.end:
            raise Ended

    async def unless_stopped(self, asked: Coroutine[Any, Any, Answer]) -> Answer:
        """Return what is asked for; gives it up, and raises, once the work must end."""
        asking = asyncio.ensure_future(asked)
        stopping = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait([asking, stopping], return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                self.check()
            return await asking
        finally:
            asking.cancel()
            stopping.cancel()
            await asyncio.gather(asking, stopping, return_exceptions=True)


@dataclass(frozen=True)
class Prepared:
    """The base, found and stored."""

    base: Base
    has_setup: bool
    """Whether the base has a `setup.sh` of its own."""
