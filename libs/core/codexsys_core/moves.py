"""The legal moves of tasks and attempts, as tables."""

from enum import StrEnum


class TaskStatus(StrEnum):
    """Where a task is. Terminal is final: `retry` makes a new task."""

    QUEUED = "queued"
    """Accepted, or waiting for its next attempt."""
    RUNNING = "running"
    """An attempt has an owner."""
    SUSPENDED = "suspended"
    """Waits for a person; holds no sandbox and no owner."""
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"

    @property
    def terminal(self) -> bool:
        """Say whether the task is over."""
        return not TASK_MOVES[self]


class AttemptState(StrEnum):
    """Where an attempt is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUSPENDED = "suspended"
    ENDED = "ended"


class Phase(StrEnum):
    """What a running task is doing."""

    CLONING = "cloning"
    SETUP = "setup"
    ANALYZING = "analyzing"
    CODING = "coding"
    TESTING = "testing"
    COMMITTING = "committing"


_S = TaskStatus
_ENDS = frozenset({_S.CANCELLED, _S.TIMED_OUT, _S.FAILED})
TASK_MOVES: dict[TaskStatus, frozenset[TaskStatus]] = {
    _S.QUEUED: _ENDS | {_S.RUNNING},
    _S.RUNNING: _ENDS | {_S.SUCCEEDED, _S.SUSPENDED, _S.QUEUED},
    _S.SUSPENDED: _ENDS | {_S.QUEUED},
    _S.SUCCEEDED: frozenset(),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.TIMED_OUT: frozenset(),
}
_A = AttemptState
ATTEMPT_MOVES: dict[AttemptState, frozenset[AttemptState]] = {
    _A.QUEUED: frozenset({_A.RUNNING, _A.ENDED}),
    _A.RUNNING: frozenset({_A.QUEUED, _A.SUSPENDED, _A.ENDED}),
    _A.SUSPENDED: frozenset({_A.QUEUED, _A.ENDED}),
    _A.ENDED: frozenset(),
}
PROGRESS: dict[Phase, int] = {
    Phase.CLONING: 5,
    Phase.SETUP: 15,
    Phase.ANALYZING: 30,
    Phase.CODING: 45,
    Phase.TESTING: 75,
    Phase.COMMITTING: 95,
}


def may_move(old: TaskStatus, new: TaskStatus) -> bool:
    """Say whether a task may go from one status to another."""
    return new in TASK_MOVES[old]
