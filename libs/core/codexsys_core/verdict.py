"""What the platform found out about a change by running the checks itself."""

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from codexsys_core.end_reasons import EndReason
from codexsys_core.flags import Flag


class Verdict(StrEnum):
    """The finding; an explanation has none."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    TESTS_FAILED = "tests_failed"
    TESTS_TAMPERED = "tests_tampered"
    NO_CHANGE = "no_change"

    @property
    def end_reason(self) -> EndReason:
        """Return the end reason of a task with this verdict (design §2)."""
        return {
            Verdict.TESTS_FAILED: EndReason.CHECKS_FAILED,
            Verdict.TESTS_TAMPERED: EndReason.CHECKS_TAMPERED,
            Verdict.NO_CHANGE: EndReason.NO_CHANGE,
        }.get(self, EndReason.FINISHED)


class Checks(BaseModel):
    """What the submitter wants to be checked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    command: str | None = Field(default=None, max_length=4096)
    strategy: Literal["full", "incremental", "skip"] = "full"
    may_change: list[str] = Field(default_factory=list, max_length=100)
    """Globs of tests and check definitions that the change may touch."""

    @field_validator("command")
    @classmethod
    def _can_be_run(cls, command: str | None) -> str | None:
        if command is not None and (not command.strip() or "\0" in command):
            raise ValueError("give a command line, or leave it out")
        return command


class TestReport(BaseModel):
    """A runner's own report, read by the platform: names by result."""

    __test__ = False
    model_config = ConfigDict(frozen=True)

    passed: frozenset[str]
    failed: frozenset[str]
    skipped: frozenset[str] = frozenset()


class CheckRun(BaseModel):
    """One run of the check command in a fresh sandbox."""

    model_config = ConfigDict(frozen=True)

    exit_code: int | None
    reason: str | None = None
    """An end reason's value when a limit ended the run."""
    report: TestReport | None = None
    planted_failed: bool = False
    """Whether the planted test, and with this name only, was reported as failed."""
    seconds: float | None = None
    """How long the command took."""


class Evidence(BaseModel):
    """The verdict with what it stands on, as the report and the page show it."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    sentences: list[str]
    command: str | None = None
    found_in: str | None = None
    """The file of the source that the command was found in; None when the submitter gave it, or there is none."""
    strategy: str = "full"
    tree: str | None = None
    """Git's id of the tree that was checked; what is handed out is this tree."""
    before: dict[str, int] | None = None
    after: dict[str, int] | None = None
    fixed: list[str] = Field(default_factory=list)
    broken: list[str] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    flags: list[Flag] = Field(default_factory=list)
    """What to look at in the change, whatever the verdict is."""
    looked: list[str] = Field(default_factory=list)
    """Which tools looked at the changed files beside the checks, and what could not be looked at."""
