"""Reading and changing files of the repository, with errors a model can act on."""

import ast
import json
import os
import re
import warnings
from pathlib import Path

_PAGE = 400
_READ_CHARACTERS = 20_000
_LARGEST = 5_000_000


class ToolError(Exception):
    """A tool call that did not work; the text goes back to the model."""


def clip(text: str, limit: int = 10_000) -> str:
    """The two ends of a long text, with the size of what is missing between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    gap = len(text) - 2 * half
    return (
        f"{text[:half]}\n[... {gap} characters elided; narrow the command or read a line "
        f"range ...]\n{text[-half:]}"
    )


class Files:
    """The repository's files; nothing outside of it, nothing of git's own."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def read(self, path: str, start: int = 1, end: int | None = None) -> str:
        """Numbered lines, one page at a time; a folder is listed."""
        place = self._place(path)
        if place.is_dir():
            return "\n".join(sorted(_entries(place))) or "(empty folder)"
        lines = self._text(place, path).split("\n")
        first = max(1, start)
        last = min(end or first + _PAGE - 1, first + _PAGE - 1, len(lines))
        shown = clip(_numbered(lines, first, last), _READ_CHARACTERS)
        rest = len(lines) - last
        return shown + (f"\n[{rest} more lines]" if rest > 0 else "")

    def edit(self, path: str, old: str, new: str) -> str:
        """Replace the one exact occurrence of old; shows the changed lines."""
        place = self._place(path)
        before = self._text(place, path)
        if "\r\n" in before and "\r" not in old:
            old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
        if old == new:
            raise ToolError("old and new are the same")
        if not old:
            raise ToolError("old is empty; use write to create a file")
        _must_occur_once(before, old, path)
        after = before.replace(old, new, 1)
        _refuse_breaking(place, before, after)
        _store(place, after)
        line = before[: before.index(old)].count("\n") + 1
        lines = after.split("\n")
        last = min(len(lines), line + new.count("\n") + 3)
        return "ok\n" + _numbered(lines, max(1, line - 3), last)

    def write(self, path: str, content: str) -> str:
        """Create a file or replace it whole."""
        place = self._place(path)
        if place.is_dir():
            raise ToolError(f"{path} is a folder")
        if place.exists():
            _refuse_breaking(place, self._text(place, path), content)
        place.parent.mkdir(parents=True, exist_ok=True)
        _store(place, content)
        problem = _syntax_problem(place, content)
        return f"ok, {content.count(chr(10)) + 1} lines" + (
            f"; but it does not parse: {problem}" if problem else ""
        )

    def _place(self, path: str) -> Path:
        place = Path(os.path.realpath(self._root / path))
        if place != self._root and self._root not in place.parents:
            raise ToolError(f"{path} is outside the repository")
        if ".git" in place.relative_to(self._root).parts:
            raise ToolError(f"{path} belongs to git")
        return place

    def _text(self, place: Path, path: str) -> str:
        if not place.exists():
            raise ToolError(f"{path} does not exist.{self._similar(place)}")
        if not place.is_file():
            raise ToolError(f"{path} is not a regular file")
        if place.stat().st_size > _LARGEST:
            raise ToolError(f"{path} is larger than {_LARGEST} bytes; use bash to look at parts")
        data = place.read_bytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise ToolError(f"{path} is not UTF-8 text; use bash") from error
        if "\0" in text:
            raise ToolError(f"{path} is binary; use bash")
        return text

    def _similar(self, place: Path) -> str:
        if not place.parent.is_dir():
            return ""
        names = sorted(_entries(place.parent))[:30]
        return f" Its folder holds: {', '.join(names)}" if names else ""


def _entries(folder: Path) -> list[str]:
    return [
        entry.name + ("/" if entry.is_dir(follow_symlinks=False) else "")
        for entry in os.scandir(folder)
        if entry.name != ".git"
    ]


def _numbered(lines: list[str], first: int, last: int) -> str:
    return "\n".join(f"{n:6d}\t{lines[n - 1]}" for n in range(first, last + 1))


def _must_occur_once(text: str, old: str, path: str) -> None:
    count = text.count(old)
    if count == 1:
        return
    if count > 1:
        starts = [text[: m.start()].count("\n") + 1 for m in re.finditer(re.escape(old), text)]
        raise ToolError(f"old occurs {count} times in {path} (lines {starts[:8]}); add context")
    first = next((line.strip() for line in old.split("\n") if line.strip()), "")
    near = [n for n, line in enumerate(text.split("\n"), 1) if first and first in line]
    hint = f" Its first line occurs at line(s) {near[:5]}." if near else ""
    raise ToolError(
        f"old was not found in {path}.{hint} Read the lines and copy them exactly, "
        "without line numbers."
    )


def _store(place: Path, text: str) -> None:
    with place.open("w", encoding="utf-8", newline="") as file:
        file.write(text)


def _refuse_breaking(place: Path, before: str, after: str) -> None:
    problem = _syntax_problem(place, after)
    if problem and not _syntax_problem(place, before):
        raise ToolError(f"not applied, the result would not parse: {problem}")


def _syntax_problem(place: Path, text: str) -> str:
    try:
        if place.suffix == ".py":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(text)
        elif place.suffix == ".json":
            json.loads(text)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno})"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error)
    return ""
