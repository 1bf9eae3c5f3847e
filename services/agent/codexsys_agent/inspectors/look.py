"""One look at a change, tool by tool."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

from codexsys_agent.inspectors.configured import Use, is_setting, uses
from codexsys_agent.inspectors.finding import Finding, Kind, Ranges, on_changed_lines
from codexsys_agent.inspectors.running import Ran, Tools
from codexsys_agent.inspectors.syntax import Parser, Problems, parsers_of
from codexsys_agent.inspectors.told import Read
from codexsys_agent.private_git import Entry, PrivateGit

_LARGEST = 1 << 20
"""Bytes of a file that is looked at."""
_MOST_FILES = 100
_MOST_FINDINGS = 50
"""Of one tool."""
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+", re.MULTILINE)
Said = Finding | str
Place = tuple[str, int, int, str]
"""Path, first and last line, message."""


class Look:
    """Gives findings, and notes on what looked and what could not."""

    def __init__(
        self,
        *,
        tools: Tools,
        git: PrivateGit,
        scratch: Path,
        lines: Mapping[str, Ranges],
        changed: frozenset[str],
    ) -> None:
        self._tools = tools
        self._git = git
        self._scratch = scratch
        self._lines = lines
        self._changed = changed
        self._base: dict[str, Entry] = {}
        self._texts: dict[str, bytes] = {}
        self._ran: list[str] = []

    def lay_out(self, patch: bytes) -> None:
        """Write the changed files as the change has them: what ran before may have written others."""
        git, paths = self._git, sorted(self._lines)
        git.run("read-tree", git.base_tree)
        git.run("apply", "--cached", "--binary", "--whitespace=nowarn", "-", given=patch)
        self._write(paths)
        self._base = git.base_entries()
        for path in paths[:_MOST_FILES]:
            text = (self._tools.code / path).read_bytes()
            if len(text) <= _LARGEST:
                self._texts[path] = text

    def all(self) -> Iterator[Said]:
        """Look with everything that there is for these files."""
        for parser, paths in parsers_of(self._texts):
            yield from self._parse(parser, paths)
        self._settings_of_the_base()
        others = [path for path in self._texts if not is_setting(path)]
        for use in uses(self._base, others, self._read):
            yield from self._use(use)
        if self._ran:
            yield f"Looked at by {', '.join(dict.fromkeys(self._ran))}."
        if left := len(self._lines) - len(self._texts):
            yield f"{left} changed files were not looked at: too many, or too large."

    def _parse(self, parser: Parser, paths: list[str]) -> Iterator[Said]:
        found, trouble = parser.check(paths, self._tools)
        found = {path: problem for path, problem in found.items() if path in self._texts}
        for path in sorted(found.keys() - self._broken_before(parser, found).keys()):
            line, message = found[path]
            yield Finding("syntax", path, line, parser.name, message)
        if trouble:
            yield f"{parser.name} {trouble}; {len(paths)} changed files may not have been parsed."
        else:
            self._ran.append(parser.name)

    def _broken_before(self, parser: Parser, found: Problems) -> Problems:
        """Return what did not parse in the base, either; a moment long it stands in its place."""
        old = [path for path in found if path in self._base]
        try:
            for path in old:
                self._put(path, self._blob(path))
            return parser.check(old, self._tools)[0] if old else {}
        finally:
            for path in old:
                self._put(path, self._texts[path])

    def _settings_of_the_base(self) -> None:
        settings = sorted(path for path in self._changed if is_setting(path))
        for path in settings:
            with suppress(OSError):
                (self._tools.code / path).unlink()
        self._git.run("read-tree", self._git.base_tree)
        self._write([path for path in settings if path in self._base])

    def _use(self, use: Use) -> Iterator[Said]:
        tool, folder = use.tool, self._tools.code / use.folder
        program = self._tools.find(tool.program, folder)
        if program is None:
            yield f"{tool.name} is configured by {use.settings}, but not installed in the sandbox."
            return
        ran = self._tools.run([program, *use.arguments], folder)
        told = self._linted(tool.read, ran, use) if tool.read else self._formatted(use)
        if told is None or (not told and (ran.code or ran.trouble)):
            yield f"{tool.name} {ran.trouble or f'ended with exit status {ran.code} and nothing to read'}."
            return
        if ran.trouble:
            yield f"{tool.name} {ran.trouble}."
        self._ran.append(tool.name)
        kind: Kind = "lint" if tool.read else "format"
        yield from islice(on_changed_lines(kind, tool.name, told, self._lines), _MOST_FINDINGS)

    def _linted(self, read: Read, ran: Ran, use: Use) -> list[Place] | None:
        """Return what was said, None when it cannot be read."""
        folder = self._tools.code / use.folder
        try:
            said = list(read(ran.err if use.tool.says_on == "err" else ran.out))
            return [
                (os.path.relpath(folder / path, self._tools.code), first, last, message)
                for path, first, last, message in said
            ]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None

    def _formatted(self, use: Use) -> list[Place]:
        """Return where a formatter wrote something else, and put back what stood there."""
        found: list[Place] = []
        for path in use.paths:
            new = self._taken(path)
            if new is not None and new != self._texts[path]:
                for first, last in self._hunks(self._texts[path], new):
                    found.append((path, first, last, "would be written otherwise"))
            self._put(path, self._texts[path])
        return found

    def _hunks(self, old: bytes, new: bytes) -> Iterable[tuple[int, int]]:
        places = [self._scratch / "old", self._scratch / "new"]
        for place, text in zip(places, (old, new), strict=True):
            place.write_bytes(text)
        diff = self._git.run("diff", "--no-index", "-U0", "--text", "--", *map(str, places), accepted=(0, 1))  # fmt: skip
        for first, count in _HUNK.findall(diff.decode("utf-8", "replace")):
            start, length = int(first), int(count or 1)
            yield max(start, 1), max(start, 1) + max(length - 1, 0)

    def _taken(self, path: str) -> bytes | None:
        file = self._tools.code / path
        try:
            if file.is_symlink() or not file.is_file() or file.stat().st_size > 2 * _LARGEST:
                return None
            return file.read_bytes()
        except OSError:
            return None

    def _put(self, path: str, text: bytes) -> None:
        (self._tools.code / path).write_bytes(text)

    def _write(self, paths: list[str]) -> None:
        given = b"".join(os.fsencode(path) + b"\0" for path in paths)
        if given:
            arguments = ("checkout-index", "-f", "-z", "--stdin")
            self._git.run(*arguments, given=given, work_tree=self._tools.code)

    def _read(self, path: str) -> bytes | None:
        return self._blob(path) if path in self._base else None

    def _blob(self, path: str) -> bytes:
        blob = self._base[path].blob
        return self._git.run("cat-file", "blob", blob) if self._git.blob_size(blob) <= _LARGEST else b""  # fmt: skip
