"""What an engine is given: the brief, the places, and the ways to report."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from codexsys_agent.brief import Brief
from codexsys_agent.door import Door
from codexsys_agent.model import Pace
from codexsys_agent.report import Events
from codexsys_agent.session import Note, Session
from codexsys_agent.stop import Stop
from codexsys_agent.worktree import Taken


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are; the defaults are the sandbox contract's."""

    code: Path = Path("/app/code")
    output: Path = Path("/app/output")
    input: Path = Path("/app/input")
    base: Path = Path("/app/base.git")
    scratch: Path = Path("/tmp")  # noqa: S108 - private to the sandbox


@dataclass(slots=True)
class Run:
    """One run of one engine."""

    brief: Brief
    places: Places
    scratch: Path
    env: Mapping[str, str]
    door: Door
    events: Events
    stop: Stop
    pace: Pace
    inbox: Callable[[], list[Note]]
    on_step: Callable[[Session], None]
    change: Callable[[], Taken | None]
    """The workspace against its base, without what setup made; None where that cannot be told."""
    session: Session = field(default_factory=Session)

    def begin(self, session: Session) -> None:
        """The engine's session stands; from now on it is checkpointed."""
        self.session = session
        self.on_step(session)

    def after_step(self, session: Session) -> None:
        """A step is done."""
        self.on_step(session)
