"""Counts a run against its limits."""

import time

from codexsys_agent.brief import Limits
from codexsys_agent.session import Session

_REMIND_AT = 0.8


class Budget:
    """Steps and tokens live in the session and survive a resume; the wall is this process's."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._started = time.monotonic()
        self._reminded = False

    @property
    def remaining_seconds(self) -> float:
        """Until the wall."""
        return self._started + self._limits.wall_seconds - time.monotonic()

    def exceeded(self, session: Session) -> tuple[str, str] | None:
        """Which limit is reached, as its end reason and in words, or none."""
        if session.steps >= self._limits.steps:
            return "steps_exhausted", f"{self._limits.steps} steps"
        if session.tokens >= self._limits.tokens:
            return "tokens_exhausted", f"{self._limits.tokens} tokens"
        if self.remaining_seconds <= 0:
            return "deadline", f"{self._limits.wall_seconds:.0f} seconds"
        return None

    def reminder(self, session: Session) -> str:
        """Once, when most of a limit is used up."""
        used = max(
            session.steps / max(1, self._limits.steps),
            session.tokens / max(1, self._limits.tokens),
            1 - self.remaining_seconds / max(1.0, self._limits.wall_seconds),
        )
        if self._reminded or used < _REMIND_AT:
            return ""
        self._reminded = True
        left = max(0, self._limits.steps - session.steps)
        return (
            f"{left} steps, {max(0, self._limits.tokens - session.tokens)} tokens and "
            f"{max(0.0, self.remaining_seconds):.0f} seconds are left. Bring the change to a "
            "working state, run the checks and finish."
        )
