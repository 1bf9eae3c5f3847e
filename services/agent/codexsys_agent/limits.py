"""Counts a run against its limits."""

import time
from collections.abc import Callable

from codexsys_agent.brief import Limits
from codexsys_agent.session import Session

_REMIND_AT = 0.8
WINDOW = 10
"""So many last steps must have changed something for more of them to be given, once."""


class Budget:
    """All but the wall, which is this process's, lives in the session and survives a resume."""

    def __init__(self, limits: Limits, *, tree: Callable[[], str]) -> None:
        self._limits = limits
        self._tree = tree
        self._started = time.monotonic()

    @property
    def remaining_seconds(self) -> float:
        """Until the wall."""
        return self._started + self._limits.wall_seconds - time.monotonic()

    def exceeded(self, session: Session) -> tuple[str, str] | None:
        """Which limit is reached, as its end reason and in words, or none."""
        if session.steps >= self._steps(session) and not self._earned(session):
            return "steps_exhausted", f"{self._steps(session)} steps"
        if session.tokens >= self._limits.tokens:
            return "tokens_exhausted", f"{self._limits.tokens} tokens"
        if self.remaining_seconds <= 0:
            return "deadline", f"{self._limits.wall_seconds:.0f} seconds"
        return None

    def more_steps(self, session: Session, count: int) -> bool:
        """Say whether so many more may be made."""
        return session.steps + count <= self._steps(session)

    def _steps(self, session: Session) -> int:
        return self._limits.steps + (self._limits.steps // 2 if session.extended else 0)

    def _earned(self, session: Session) -> bool:
        """Give half as many steps again, once, to work that got on until now."""
        if session.extended or not session.tree_then or self._tree() == session.tree_then:
            return False
        session.extended = True
        return True

    def reminder(self, session: Session) -> str:
        """Once, when most of a limit is used up."""
        if session.steps == self._limits.steps - WINDOW:
            session.tree_then = self._tree()
        used = max(
            session.steps / max(1, self._steps(session)),
            session.tokens / max(1, self._limits.tokens),
            1 - self.remaining_seconds / max(1.0, self._limits.wall_seconds),
        )
        if session.reminded or used < _REMIND_AT:
            return ""
        session.reminded = True
        left = max(0, self._steps(session) - session.steps)
        return (
            f"{left} steps, {max(0, self._limits.tokens - session.tokens)} tokens and "
            f"{max(0.0, self.remaining_seconds):.0f} seconds are left. Bring the change to a "
            "working state, run the checks and finish."
        )
