"""One eval: a small repository of ours, what is wanted of it, how that is judged, and a solution for the scripted model."""

import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tests.support.wheels import SETUP

CASES = Path(__file__).parent / "cases"
LANGUAGES = {"python": "python3", "javascript": "node", "go": "go", "rust": "cargo"}
"""And the program without which none of its evals can be run."""
KINDS = ("bug", "feature", "refactor", "explain")
Kind = Literal["bug", "feature", "refactor", "explain"]
_OF_THE_TOOLS = {
    "go": {"GOFLAGS": "-mod=mod", "GOPROXY": "off", "GOTOOLCHAIN": "local"},
    "rust": {"CARGO_NET_OFFLINE": "true", "CARGO_TERM_COLOR": "never"},
}


@dataclass(frozen=True)
class Case:
    """What stands in `eval.toml`, with the folders beside it."""

    folder: Path
    language: str
    kind: Kind
    prompt: str
    solution: list[dict[str, Any]]
    checks: str | None = None
    accept: str | None = None
    """A command that must end well on the result, beside the files of `hidden/`."""
    answer: tuple[str, ...] = ()
    """Expressions that an explanation must match, each of them."""
    may_change: tuple[str, ...] = ()
    requirements: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return self.folder.name

    @cached_property
    def repository(self) -> dict[str, bytes]:
        """Return the files that the task starts from."""
        return _files(self.folder / "repo")

    @cached_property
    def hidden(self) -> dict[str, bytes]:
        """Return the files that no agent sees."""
        return _files(self.folder / "hidden")

    def body(self, model: str, *, wall_seconds: int) -> dict[str, Any]:
        """Return what is submitted, beside the repository."""
        body: dict[str, Any] = {
            "prompt": self.prompt.strip(),
            "mode": "explain" if self.kind == "explain" else "modify",
            "model": model,
            "clarify": "assume",
            "limits": {"attempts": 1, "wall_seconds": wall_seconds},
            "environment": self.environment,
            "labels": {"eval": self.name},
        }
        if self.checks:
            body["checks"] = {"command": self.checks, "may_change": list(self.may_change)}
        if self.requirements:
            body["requirements"] = self.requirements
        return body

    @property
    def environment(self) -> dict[str, Any]:
        """Return what the task runs in; nothing of it needs a network."""
        made: dict[str, Any] = {
            "variables": _OF_THE_TOOLS.get(self.language, {}),
            "network": {"setup": "none"},
        }
        return made | ({"setup": SETUP} if self.language == "python" else {})

    def judged_well(self, verdict: str | None) -> bool:
        """Say whether a change was verified; an explanation has no verdict."""
        return verdict == (None if self.kind == "explain" else "verified")


def all_cases() -> list[Case]:
    """Return every eval, by name."""
    return [read_case(file.parent) for file in sorted(CASES.glob("*/eval.toml"))]


def read_case(folder: Path) -> Case:
    """Read one; an unknown field is an error."""
    told = tomllib.loads((folder / "eval.toml").read_text(encoding="utf-8"))
    for name in ("answer", "may_change"):
        told[name] = tuple(told.get(name, ()))
    return Case(folder=folder, **told)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
