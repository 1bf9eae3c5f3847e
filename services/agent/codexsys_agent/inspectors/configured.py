"""Which linters and formatters a repository uses: those that its own settings name, in the base."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
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
    by_folder: bool = False
    """Whether it takes folders of files."""


TOOLS = (
    Tool(
        "ruff", "ruff",
        ("check", "--no-fix", "--no-cache", "--quiet", "--force-exclude", "--output-format", "json", "--"), _PYTHON,
        (("pyproject.toml", r"\[tool\.ruff\b"), ("ruff.toml", ""), (".ruff.toml", "")), told.ruff,
    ),
    Tool("flake8", "flake8", ("--format=default", "--"), _PYTHON, ((".flake8", ""), ("setup.cfg", r"\[flake8\]"), ("tox.ini", r"\[flake8\]")), told.flake8),
    Tool("eslint", "eslint", ("--format", "json", "--no-color", "--"), _SCRIPTS, (("eslint.config.*", ""), (".eslintrc*", ""), ("package.json", "eslintConfig")), told.eslint),
    Tool("shellcheck", "shellcheck", ("--format", "json", "--"), (".sh", ".bash"), ((".shellcheckrc", ""),), told.shellcheck),
    Tool("go vet", "go", ("vet",), (".go",), (("go.mod", ""),), told.vet, "err", by_folder=True),
    Tool(
        "ruff format", "ruff", ("format", "--no-cache", "--quiet", "--force-exclude", "--"), _PYTHON,
        (("pyproject.toml", r"\[tool\.ruff\.format\b"), ("ruff.toml", r"\[format\b"), (".ruff.toml", r"\[format\b"), (".pre-commit-config.yaml", r"\s*-?\s*id:\s*ruff-format\b")),
    ),
    Tool("black", "black", ("--quiet", "--"), _PYTHON, (("pyproject.toml", r"\[tool\.black\]"),)),
    Tool("prettier", "prettier", ("--write", "--log-level", "silent", "--"), _STYLED, ((".prettierrc*", ""), ("prettier.config.*", ""), ("package.json", "prettier"))),
    Tool("gofmt", "gofmt", ("-w",), (".go",), (("go.mod", ""),)),
    Tool("rustfmt", "rustfmt", ("--edition", "2021", "--"), (".rs",), (("Cargo.toml", ""),)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Use:
    """A tool for some of the changed files, which are all below the folder of its settings."""

    tool: Tool
    folder: str
    """Below the code; `.` is the code's own."""
    settings: str
    paths: tuple[str, ...]


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
        Use(TOOLS[number], folder, known[TOOLS[number].name, folder], tuple(paths))
        for (number, folder), paths in sorted(groups.items())
    ]


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
