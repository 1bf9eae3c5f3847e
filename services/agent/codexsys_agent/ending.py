"""How a run ended, and the exit code that says so."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """The exit codes that the platform reads; none of them is a verdict."""

    FINISHED = 0
    BROKEN = 1
    GAVE_UP = 2
    LIMIT = 3
    STUCK = 4
    MODEL_REFUSED = 5
    MODEL_UNAVAILABLE = 6
    CONTEXT_OVERFLOW = 7
    COMMAND_FAILED = 8
    NETWORK_OPEN = 9
    NO_DOOR = 10
    WAITS = 11
    CANCELLED = 143


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a run; `detail` is for people who look for the cause."""

    exit: Exit
    status: str
    summary: str = ""
    criteria: tuple[str, ...] = ()
    detail: str = ""
    asked: dict[str, Any] | None = None
    """What a person must answer first."""
    code: str = ""
    """The platform's end reason where the exit code leaves a choice."""
