"""What is asked of a look at changed files after the checks, and what is taken of its answer, which may be forged."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codexsys_core.flags import MOST_SCANNED, Flag, FlagKind, changed_lines, few_of_each
from codexsys_core.patch import Patch

ENDINGS = (
    ".py", ".pyi", ".json", ".toml", ".sh", ".bash", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".mts", ".cts",
    ".vue", ".svelte", ".css", ".scss", ".less", ".go", ".rs",
)  # fmt: skip
"""Of files for which there may be a tool."""
MOST_ANSWERED = 1 << 20
"""Bytes."""
_REGULAR = ("100644", "100755")
_LONGEST_MESSAGE = 200
_LONGEST_NOTE = 300
_MOST_NOTES = 20
_LONGEST_PATH = 4096
_MOST_LINES = 5000

Lines = dict[str, list[tuple[int, int]]]
"""First and last numbers of lines that a change added or changed, by path."""
Redact = Callable[[bytes], bytes]


class Inspection(BaseModel):
    """What a look at a change came to; it changes no verdict."""

    model_config = ConfigDict(frozen=True)

    flags: list[Flag] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    """For a person: what looked, and what could not."""


class _Finding(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: Literal["syntax", "lint", "format"]
    path: str = Field(max_length=_LONGEST_PATH)
    line: int = Field(ge=1, le=1 << 31)
    tool: str = Field(pattern=r"^[a-z0-9 ]{1,20}$")
    message: str


class _Note(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    note: str


def inspectable(patch: Patch) -> Lines:
    """Return the changed files for which there may be a tool, with their changed lines."""
    lines: Lines = {
        file.path: []
        for file in patch.files
        if file.status != "D"
        and file.mode in _REGULAR
        and file.path.endswith(ENDINGS)
        and file.path.isprintable()
    }
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for sign, path, number, _ in changed_lines(patch.diff[:MOST_SCANNED]) if lines else ():
        if sign == "+" and path in lines:
            numbers[path].append(number)
    return lines | {path: list(_ranges(found)) for path, found in numbers.items()}


def read_answer(answer: bytes, lines: Mapping[str, list[tuple[int, int]]], redact: Redact) -> Inspection:  # fmt: skip
    """Take what an answer says of changed lines; what cannot be read is passed over."""
    flags: list[Flag] = []
    notes: list[str] = []
    for raw in answer[:MOST_ANSWERED].split(b"\n", _MOST_LINES)[:_MOST_LINES]:
        told = _read(raw)
        if isinstance(told, _Note):
            notes.append(_shown(told.note, redact, _LONGEST_NOTE))
        elif told is not None and _concerns(told, lines):
            says = f"{told.tool}: {_shown(told.message, redact, _LONGEST_MESSAGE)}"
            kind = FlagKind(told.kind)
            flags.append(Flag(kind=kind, path=told.path, line=told.line, says=says))
    return Inspection(flags=few_of_each(dict.fromkeys(flags)), notes=notes[:_MOST_NOTES])


def _read(raw: bytes) -> _Finding | _Note | None:
    for kind in (_Finding, _Note):
        try:
            return kind.model_validate_json(raw)
        except ValidationError:
            continue
    return None


def _concerns(told: _Finding, lines: Mapping[str, list[tuple[int, int]]]) -> bool:
    """Say whether it is of a changed line; what does not parse may be told of any line of its file."""
    ranges = lines.get(told.path)
    if ranges is None:
        return False
    return told.kind == "syntax" or any(first <= told.line <= last for first, last in ranges)


def _shown(text: str, redact: Redact, longest: int) -> str:
    """Return one line of printable text without secrets."""
    safe = redact(text.encode(errors="replace")).decode(errors="replace")
    plain = " ".join("".join(each if each.isprintable() else " " for each in safe).split())
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    first = last = 0
    for number in numbers:
        if number != last + 1 or not first:
            if first:
                yield first, last
            first = number
        last = number
    if first:
        yield first, last
