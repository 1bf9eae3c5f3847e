"""A call of a test runner, made so that it gives a report by test."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Result = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Case:
    """One test and what became of it."""

    suite: str
    name: str
    result: Result


@dataclass(frozen=True, slots=True)
class Given:
    """What a call is made of."""

    command: str
    code: Path
    scratch: Path
    """A folder of ours, which is gone when the call is over."""
    report: Path
    """Where a runner that makes a report itself writes it: a pipe."""
    env: Mapping[str, str]
    planted: str | None = None
    """The name of a test to add, which must fail."""


class Listener(Protocol):
    """Reads a runner's output, in which it tells of each test."""

    def heard(self, line: bytes) -> bytes:
        """Take a line; return what of it a person is shown."""

    def cases(self) -> Iterable[Case]:
        """Return the tests that were told of; one of them may come more than once."""


@dataclass(frozen=True, slots=True)
class Call:
    """What is run instead of the command as it was written."""

    command: str
    env: dict[str, str] = field(default_factory=dict)
    """Put over the sandbox's own."""
    listener: Listener | None = None
    """Of its output; None: the runner makes the report itself."""
