"""Which linters and formatters a repository uses: those that its own settings name, in the base."""

import json
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from codexsys_agent.inspectors import told
from codexsys_agent.inspectors.told import Read

_PYTHON = (".py", ".pyi")
_SCRIPTS = (".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts", ".vue", ".svelte")
_STYLED = (*_SCRIPTS, ".css", ".scss", ".less", ".json")
SETTINGS = (
    "ruff.toml", ".ruff.toml", "pyproject.toml", ".flake8", "setup.cfg", "tox.ini", "eslint.config.*", ".eslintrc*",
    ".eslintignore", ".prettierrc*", ".prettierignore", "prettier.config.*", "package.json", "tsconfig*.json",
    ".editorconfig", "rustfmt.toml", ".rustfmt.toml", ".shellcheckrc", ".pre-commit-config.yaml",
)  # fmt: skip
"""Files by which tools are told what to find: the change has no say in them."""

_EDITIONS, _USUAL = ("2015", "2018", "2021", "2024"), "2021"


def one_by_one(paths: Sequence[str]) -> list[str]:
    """Name each path, none of which a tool takes for an option."""
    return ["--", *(f"./{path}" for path in paths)]


def _alone(paths: Sequence[str]) -> list[str]:
    """For what knows no `--`."""
    return [f"./{path}" for path in paths]


def _by_folder(paths: Sequence[str]) -> list[str]:
    return sorted({f"./{PurePosixPath(path).parent}" for path in paths})


# flake8 and black look at what is named whatever their settings exclude; so they are to find these files by themselves.
def _found_by_glob(paths: Sequence[str]) -> list[str]:
    globs = [f"./{path}".replace("[", "[[]") for path in paths if "," not in path]
    return [f"--filename={','.join(globs)}", "."]


def _found_by_pattern(paths: Sequence[str]) -> list[str]:
    return [f"--include=^/({'|'.join(map(re.escape, paths))})$", "."]


@dataclass(frozen=True, slots=True)
class Tool:
    """A linter, or a formatter that writes its files anew."""

    name: str
    program: str
    arguments: tuple[str, ...]
    endings: tuple[str, ...]
    named_by: tuple[tuple[str, str], ...]
    """Name of a file, and what must be in it: a pattern of a line, in JSON a member; empty: the file is enough."""
    read: Read | None = None
    """None: it is a formatter."""
    says_on: str = "out"
    chosen: Callable[[Sequence[str]], list[str]] = one_by_one
    """How it is told of these paths, which are below the folder that it runs in."""


TOOLS = (
    Tool(
        "ruff", "ruff",
        ("check", "--no-fix", "--no-cache", "--quiet", "--force-exclude", "--output-format", "json"), _PYTHON,
        (("pyproject.toml", r"\[tool\.ruff\b"), ("ruff.toml", ""), (".ruff.toml", "")), told.ruff,
    ),
    Tool("flake8", "flake8", ("--format=default",), _PYTHON, ((".flake8", ""), ("setup.cfg", r"\[flake8\]"), ("tox.ini", r"\[flake8\]")), told.flake8, chosen=_found_by_glob),
    Tool("eslint", "eslint", ("--format", "json", "--no-color"), _SCRIPTS, (("eslint.config.*", ""), (".eslintrc*", ""), ("package.json", "eslintConfig")), told.eslint),
    Tool("shellcheck", "shellcheck", ("--format", "json"), (".sh", ".bash"), ((".shellcheckrc", ""),), told.shellcheck),
    Tool("go vet", "go", ("vet",), (".go",), (("go.mod", ""),), told.vet, "err", chosen=_by_folder),
    Tool(
        "ruff format", "ruff", ("format", "--no-cache", "--quiet", "--force-exclude"), _PYTHON,
        (("pyproject.toml", r"\[tool\.ruff\.format\b"), ("ruff.toml", r"\[format\b"), (".ruff.toml", r"\[format\b"), (".pre-commit-config.yaml", r"\s*-?\s*id:\s*ruff-format\b")),
    ),
    Tool("black", "black", ("--quiet",), _PYTHON, (("pyproject.toml", r"\[tool\.black\]"),), chosen=_found_by_pattern),
    Tool("prettier", "prettier", ("--write", "--log-level", "silent"), _STYLED, ((".prettierrc*", ""), ("prettier.config.*", ""), ("package.json", "prettier"))),
    Tool("gofmt", "gofmt", ("-w",), (".go",), (("go.mod", ""),), chosen=_alone),
    Tool("rustfmt", "rustfmt", (), (".rs",), (("Cargo.toml", ""),)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """A tool for some of the changed files, which are all below the folder of its settings."""

    tool: Tool
    folder: str
    """Below the code; `.` is the code's own."""
    settings: str
    paths: tuple[str, ...]
    edition: str = ""
    """Of Rust, as the package says."""

    @property
    def arguments(self) -> list[str]:
        """Return all that the program is told."""
        edition = ["--edition", self.edition] if self.edition else []
        below = [str(PurePosixPath(path).relative_to(self.folder)) for path in self.paths]
        return [*self.tool.arguments, *edition, *self.tool.chosen(below)]


def uses(
    base: Iterable[str], changed: Iterable[str], read: Callable[[str], bytes | None]
) -> list[Use]:
    """Return what is to be run: for each file and tool by the nearest folder whose settings name it."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in base:
        place = PurePosixPath(path)
        if any(fnmatchcase(place.name, glob) for glob in _NAMING):
            folders[str(place.parent)].append(place.name)
    known: dict[tuple[str, str], str] = {}
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for path in sorted(changed):
        for number, tool in enumerate(TOOLS):
            if not path.endswith(tool.endings):
                continue
            for parent in PurePosixPath(path).parents:
                if settings := _named(tool, str(parent), folders, known, read):
                    known[tool.name, str(parent)] = settings
                    groups[number, str(parent)].append(path)
                    break
    return [
        _use(TOOLS[number], folder, known[TOOLS[number].name, folder], paths, read)
        for (number, folder), paths in sorted(groups.items())
    ]


def _use(
    tool: Tool, folder: str, settings: str, paths: list[str], read: Callable[[str], bytes | None]
) -> Use:
    edition = _edition(read(settings)) if tool.program == "rustfmt" else ""
    return Use(tool, folder, settings, tuple(paths), edition)


def _edition(manifest: bytes | None) -> str:
    """Return what `cargo fmt` would take; a workspace may say it for its packages, which is not looked up."""
    try:
        package = tomllib.loads((manifest or b"").decode())["package"]
        found = package.get("edition", _EDITIONS[0])
    except (ValueError, KeyError, AttributeError, RecursionError):
        return _USUAL
    return found if found in _EDITIONS else _USUAL


def is_setting(path: str) -> bool:
    """Say whether a file tells tools what to find."""
    name = PurePosixPath(path).name
    return any(fnmatchcase(name, glob) for glob in SETTINGS)


def _named(
    tool: Tool,
    folder: str,
    folders: Mapping[str, list[str]],
    known: dict[tuple[str, str], str],
    read: Callable[[str], bytes | None],
) -> str:
    """Return the file in a folder that names a tool, empty where none does."""
    key = (tool.name, folder)
    if key not in known:
        known[key] = ""
        for name in sorted(folders.get(folder, ())):
            path = name if folder == "." else f"{folder}/{name}"
            for glob, wanted in tool.named_by:
                if fnmatchcase(name, glob) and (not wanted or _holds(read(path), name, wanted)):
                    known[key] = path
    return known[key]


def _holds(content: bytes | None, name: str, wanted: str) -> bool:
    text = (content or b"").decode("utf-8", "replace")
    if not name.endswith(".json"):
        return re.search(rf"^{wanted}", text, re.MULTILINE) is not None
    try:
        return wanted in json.loads(text)
    except (ValueError, TypeError, RecursionError):
        return False


_NAMING = {glob for tool in TOOLS for glob, _ in tool.named_by}
