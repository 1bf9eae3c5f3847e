"""The table of legal moves."""

import pytest

from codexsys_core.end_reasons import Category, EndReason
from codexsys_core.moves import (
    ATTEMPT_MOVES,
    PROGRESS,
    TASK_MOVES,
    AttemptState,
    Phase,
    TaskStatus,
    may_move,
)

S = TaskStatus
LEGAL = {
    (S.QUEUED, S.RUNNING),
    (S.QUEUED, S.CANCELLED),
    (S.QUEUED, S.TIMED_OUT),
    (S.QUEUED, S.FAILED),
    (S.RUNNING, S.SUCCEEDED),
    (S.RUNNING, S.FAILED),
    (S.RUNNING, S.CANCELLED),
    (S.RUNNING, S.TIMED_OUT),
    (S.RUNNING, S.SUSPENDED),
    (S.RUNNING, S.QUEUED),
    (S.SUSPENDED, S.QUEUED),
    (S.SUSPENDED, S.CANCELLED),
    (S.SUSPENDED, S.TIMED_OUT),
    (S.SUSPENDED, S.FAILED),
}


@pytest.mark.parametrize("old", list(TaskStatus))
@pytest.mark.parametrize("new", list(TaskStatus))
def test_a_task_moves_only_as_the_design_says(old: TaskStatus, new: TaskStatus) -> None:
    assert may_move(old, new) == ((old, new) in LEGAL)


def test_terminal_is_final() -> None:
    terminal = {status for status in TaskStatus if status.terminal}
    assert terminal == {S.SUCCEEDED, S.FAILED, S.CANCELLED, S.TIMED_OUT}
    assert all(not TASK_MOVES[status] for status in terminal)


def test_an_ended_attempt_never_comes_back() -> None:
    assert not ATTEMPT_MOVES[AttemptState.ENDED]
    assert set(ATTEMPT_MOVES) == set(AttemptState)


def test_progress_grows_with_the_phases() -> None:
    assert list(PROGRESS) == list(Phase)
    assert list(PROGRESS.values()) == sorted(PROGRESS.values())


@pytest.mark.parametrize("reason", list(EndReason))
def test_each_end_reason_says_what_happened_and_what_to_do(reason: EndReason) -> None:
    assert reason.value == reason.value.lower()
    assert reason.cause.endswith(".")
    assert reason.next.endswith(".")
    assert reason.retryable <= (reason.category in {Category.NETWORK, Category.SYSTEM})
