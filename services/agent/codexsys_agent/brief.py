"""The brief: what the platform wants of this run, read once from a file."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from codexsys_agent.errors import BriefError

Mode = Literal["modify", "explain"]
Engine = Literal["builtin", "command"]


@dataclass(frozen=True, slots=True)
class Requirements:
    """The structured part of a task; every list may be empty."""

    functional: tuple[str, ...] = ()
    technical: tuple[str, ...] = ()
    acceptance: tuple[str, ...] = ()
    affected_files: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()
    out_of_scope: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the checks said of the base."""

    passed: int
    failed: int
    failing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checks:
    """What the platform will run to judge the result."""

    command: str | None = None
    strategy: str = "full"
    baseline: Baseline | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one run; the gateway and the supervisor hold tighter ones."""

    steps: int = 60
    tokens: int = 2_000_000
    wall_seconds: float = 1770
    command_seconds: float = 120


@dataclass(frozen=True, slots=True)
class Brief:
    """One run of the agent."""

    task_id: str
    attempt: int
    mode: Mode
    engine: Engine
    model: str
    prompt: str
    instructions: str = ""
    """What whoever runs the platform tells every agent."""
    requirements: Requirements = field(default_factory=Requirements)
    checks: Checks = field(default_factory=Checks)
    command: str | None = None
    limits: Limits = field(default_factory=Limits)
    door: str = "http://127.0.0.1:8700"
    checkpoint_seconds: float = 30
    resume: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    may_ask: bool = False
    """Whether a person can be asked."""
    allowed_commands: tuple[str, ...] | None = None
    """Programs that bash may run, with * and ?; None: all."""
    answers: tuple[tuple[str, str], ...] = ()
    """Questions of earlier runs and what was answered."""
    first_number: int = 1
    """Of events and checkpoints: an earlier run in the same sandbox had the numbers before it."""
    made_by_setup: tuple[tuple[str, str | None, str | None], ...] | None = None
    """Path, mode and blob of what is setup's; None when the run is to look for itself."""


def read_brief(path: Path) -> Brief:
    """Read and check the brief; a BriefError names the field that is wrong."""
    try:
        raw = json.loads(path.read_bytes())
    except OSError as error:
        raise BriefError(f"no brief at {path}: {error.strerror}") from error
    except ValueError as error:
        raise BriefError(f"the brief is not JSON: {error}") from error
    return _brief(_Section("", raw))


def _brief(section: "_Section") -> Brief:
    if section.number("v", 1) != 1:
        raise BriefError("v: this agent reads version 1")
    brief = Brief(
        task_id=section.text("task_id", ""),
        attempt=int(section.number("attempt", 1)),
        mode=cast("Mode", section.choice("mode", ("modify", "explain"))),
        engine=cast("Engine", section.choice("engine", ("builtin", "command"))),
        model=section.text("model", ""),
        prompt=section.text("prompt", ""),
        instructions=section.text("instructions", ""),
        requirements=_requirements(section.section("requirements")),
        checks=_checks(section.section("checks")),
        command=section.optional_text("command"),
        limits=_limits(section.section("limits")),
        door=section.text("door", "http://127.0.0.1:8700"),
        checkpoint_seconds=section.number("checkpoint_seconds", 30),
        resume=section.optional_object("resume"),
        notes=section.texts("notes"),
        may_ask=section.flag("may_ask"),
        allowed_commands=section.optional_texts("allowed_commands"),
        answers=section.pairs("answers", "question", "answer"),
        first_number=int(section.number("first_number", 1)),
        made_by_setup=section.changes("made_by_setup"),
    )
    if brief.engine == "command" and not brief.command:
        raise BriefError("command: the command engine needs a script")
    return brief


def _requirements(section: "_Section") -> Requirements:
    return Requirements(**{name: section.texts(name) for name in Requirements.__slots__})


def _checks(section: "_Section") -> Checks:
    baseline = section.optional_object("baseline")
    return Checks(
        command=section.optional_text("command"),
        strategy=section.text("strategy", "full"),
        baseline=None if baseline is None else _baseline(_Section("checks.baseline.", baseline)),
    )


def _baseline(section: "_Section") -> Baseline:
    return Baseline(
        passed=int(section.number("passed", 0)),
        failed=int(section.number("failed", 0)),
        failing=section.texts("failing"),
    )


def _limits(section: "_Section") -> Limits:
    default = Limits()
    return Limits(
        steps=int(section.number("steps", default.steps)),
        tokens=int(section.number("tokens", default.tokens)),
        wall_seconds=section.number("wall_seconds", default.wall_seconds),
        command_seconds=section.number("command_seconds", default.command_seconds),
    )


class _Section:
    """One JSON object; each getter checks the type and names the field in its complaint."""

    def __init__(self, prefix: str, value: object) -> None:
        if not isinstance(value, dict):
            raise BriefError(f"{prefix or 'brief'}: an object is expected")
        self._prefix = prefix
        self._values = value

    def _get(self, name: str, kind: type | tuple[type, ...], what: str, default: object) -> Any:
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            raise BriefError(f"{self._prefix}{name}: {what} is expected")
        return value

    def text(self, name: str, default: str) -> str:
        return str(self._get(name, str, "a string", default))

    def optional_text(self, name: str) -> str | None:
        return cast("str | None", self._get(name, str, "a string or null", None))

    def number(self, name: str, default: float) -> float:
        value = float(self._get(name, (int, float), "a number", default))
        if value < 0:
            raise BriefError(f"{self._prefix}{name}: a number of at least 0 is expected")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        items = self._get(name, list, "a list", [])
        return tuple(item if isinstance(item, str) else json.dumps(item) for item in items)

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        return None if self._values.get(name) is None else self.texts(name)

    def flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise BriefError(f"{self._prefix}{name}: true or false is expected")
        return value

    def pairs(self, name: str, first: str, second: str) -> tuple[tuple[str, str], ...]:
        items = self._get(name, list, "a list", [])
        try:
            return tuple((str(item[first]), str(item[second])) for item in items)
        except (KeyError, TypeError) as error:
            raise BriefError(
                f"{self._prefix}{name}: objects with {first} and {second} are expected"
            ) from error

    def changes(self, name: str) -> tuple[tuple[str, str | None, str | None], ...] | None:
        items = self._get(name, list, "a list or null", None)
        if items is None:
            return None
        try:
            return tuple((item["path"], item["mode"], item["blob"]) for item in items)
        except (KeyError, TypeError) as error:
            raise BriefError(f"{self._prefix}{name}: objects of a change are expected") from error

    def optional_object(self, name: str) -> dict[str, Any] | None:
        return cast("dict[str, Any] | None", self._get(name, dict, "an object or null", None))

    def section(self, name: str) -> "_Section":
        return _Section(f"{self._prefix}{name}.", self._get(name, dict, "an object", {}))

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name, allowed[0])
        if value not in allowed:
            raise BriefError(f"{self._prefix}{name}: one of {', '.join(allowed)} is expected")
        return value
