"""One try at a task, the lease on it, and the fenced statements of its owner."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.artifact import Artifact
from codexsys_core.moves import AttemptState, Phase, TaskStatus
from codexsys_core.outcome import Outcome
from codexsys_core.source import Base
from codexsys_core.verdict import Evidence, Verdict


class Attempt(BaseModel):
    """One row, one number. The row decides who owns it, nothing else does."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    tenant_id: str
    number: int = 1
    state: AttemptState = AttemptState.QUEUED
    owner: str | None = None
    fence: int = 0
    """Counts the owners: every claim and takeover raises it."""
    takeovers: int = 0
    due_at: datetime | None = None
    lease_until: datetime | None = None
    cancel_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    end: Outcome | None = None


class Hold(BaseModel):
    """What an owner names in each of its writes: a stale fence matches no row."""

    model_config = ConfigDict(frozen=True)

    attempt_id: str
    task_id: str
    tenant_id: str
    number: int
    fence: int

    @property
    def writer(self) -> str:
        """Return the folder name of this owner's objects (design §6)."""
        return f"a{self.number}-f{self.fence}"


class Living(BaseModel):
    """An agent's sandbox that outlived its owner."""

    model_config = ConfigDict(frozen=True)

    sandbox_id: str
    fence: int
    """Of the owner that made it, not of the one that carries on with it."""
    released: bool = False
    """Whether its owner handed it over; else it is gone."""


class Heir(BaseModel):
    """A worker that carries on with what others of its place leave."""

    model_config = ConfigDict(frozen=True)

    owner: str
    place: str
    life: int
    """The life that it knows how to go through again (`Sandbox.life`)."""
    lease_seconds: float


class Claim(BaseModel):
    """A claimed attempt with its task."""

    model_config = ConfigDict(frozen=True)

    hold: Hold
    attempt: Attempt
    task: Any
    """The `Task`; typed loosely because the two nouns know each other."""
    living: Living | None = None
    """The sandbox to carry on with, when the attempt was adopted."""


class Beat(BaseModel):
    """What a beat tells a worker."""

    model_config = ConfigDict(frozen=True)

    lost: frozenset[Hold] = frozenset()
    """What is no longer its own. It may have got the same attempt back, under another fence."""
    cancelled: frozenset[Hold] = frozenset()
    """What somebody wants to be cancelled."""


class Ending(BaseModel):
    """Everything that a terminal task's row says; written in one fenced statement."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    status: TaskStatus
    outcome: Outcome
    verdict: Verdict | None = None
    evidence: Evidence | None = None
    diff: Any = None
    """A `DiffStat` or None."""
    artifacts: tuple[Artifact, ...] = ()


class AttemptStore(Protocol):
    """The arbiter of who works on what. All times are the database's.

    Fenced calls name a `Hold`; they return False (and change nothing) when the fence is stale.
    After an unknown answer they read back: my fence and my target state mean True.
    Each adds its event in the same transaction; tasks.status moves only there.
    """

    async def claim(self, task_id: str, *, owner: str, lease_seconds: float) -> Claim | None:
        """Take the task's queued, due, not cancelled attempt; None when somebody else did.

        `AtCapacity` when its tenant runs as many attempts as it may.
        """

    async def beat(self, owner: str, held: Sequence[Hold], *, lease_seconds: float) -> Beat:
        """Renew the leases of exactly these holds (expired ones too, while the fence is theirs)."""

    async def move(self, hold: Hold, phase: Phase) -> bool:
        """Fenced: set the phase and add a `task.phase` event."""

    async def set_base(self, hold: Hold, base: Base) -> Base | None:
        """Fenced: set the task's base where it is not set; return the one that stands, None if stale."""

    async def end(self, hold: Hold, ending: Ending) -> bool:
        """Fenced: attempt ended, task terminal, artifacts recorded, result due, last event added."""

    async def again(
        self, hold: Hold, outcome: Outcome, *, new_attempt_id: str | None, delay_seconds: float
    ) -> bool:
        """Fenced: end this attempt and queue the next one (new id), or give the same back (None)."""

    async def take_over(
        self, *, grace_seconds: float, most: int, limit: int, restart_seconds: float = 0
    ) -> list[Hold]:
        """Relay: queue attempts whose lease ran out, with raised fence and takeovers.

        Those with a live sandbox of an agent are left to whoever can reach it for the grace; what
        was released, for `restart_seconds` more, and that raises no takeovers. Their sandbox rows
        end in the same transaction; more than `most` takeovers end the task as `poisoned`. Returns
        the holds that were taken (with the new fence).
        """

    async def of_task(self, task_id: str, *, tenant_id: str) -> list[Attempt]:
        """Return all attempts of a task in order."""


class Orphans(Protocol):
    """Attempts without an owner while their agent lives on: their owner died, or let go of them."""

    async def adopt(
        self,
        heir: Heir,
        *,
        held: Sequence[str],
        most: int,
        limit: int,
        waited_seconds: float = 0,
        released: bool = False,
    ) -> list[Claim]:
        """Take those whose agent's sandbox lives at the heir's place, in a life that it knows.

        Their lease ran out so long ago at least, or, where only `released` ones are wanted, their
        owner let go of them. One transaction each, which raises the fence, and the takeovers when
        the owner died, and ends the attempt's other sandbox rows. Attempts in `held` (ids) are the
        caller's already. What was taken over `most` times is left to the relay, which ends it.
        """

    async def release(self, owner: str, held: Sequence[Hold]) -> list[Hold]:
        """Fenced: let go of attempts, so that nobody has to wait for their leases to run out.

        One with a living agent waits for an heir, without an owner; any other is queued at once.
        Returns those that were the owner's to let go of.
        """
