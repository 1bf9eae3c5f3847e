"""The AGENTS.md files that hold for a folder, root first, 32 KiB in all."""

import os
from pathlib import Path

_LIMIT = 32_768
_NAMES = ("AGENTS.override.md", "AGENTS.md")
_NESTED_SHOWN = 30
_SKIPPED = {".git", "node_modules", ".venv", "venv"}


class Nested:
    """Gives each folder's file when something below it is first read; one limit with the root's."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._shown = {self._root}
        self._left = _LIMIT

    def at_the_start(self) -> str:
        """The root's file, and the names of those further down."""
        parts = [self._take(self._root)]
        nested = _further_down(self._root)
        if nested:
            listed = ", ".join(nested[:_NESTED_SHOWN])
            more = f" and {len(nested) - _NESTED_SHOWN} more" if len(nested) > _NESTED_SHOWN else ""
            parts.append(f"These hold for what is below their folders: {listed}{more}")
        return "\n\n".join(part for part in parts if part)

    def first_met(self, path: str) -> str:
        """What holds for a path and was not shown yet, to be put after what was read of it."""
        place = Path(os.path.realpath(self._root / path))
        if self._root not in place.parents or _SKIPPED.intersection(place.parts):
            return ""
        folders = [each for each in reversed([place, *place.parents]) if self._root in each.parents]
        parts = []
        for folder in folders:
            if folder not in self._shown and folder.is_dir():
                self._shown.add(folder)
                parts.append(self._take(folder))
        return "".join(f"\n\n{part}" for part in parts if part)

    def _take(self, folder: Path) -> str:
        text = _first_of(folder)
        kept = text.encode()[: self._left].decode("utf-8", "ignore").strip()
        if not kept:
            return ""
        self._left -= len(kept.encode())
        cut = (
            "\n[... cut: instructions have 32 KiB in all ...]"
            if len(kept) < len(text.strip())
            else ""
        )
        name = folder.relative_to(self._root).as_posix()
        return f"## AGENTS.md of {'the root' if name == '.' else name}\n{kept}{cut}"


def _first_of(folder: Path) -> str:
    for name in _NAMES:
        file = folder / name
        if file.is_file() and not file.is_symlink():
            with file.open(encoding="utf-8", errors="replace") as text:
                return text.read(2 * _LIMIT)
    return ""


def _further_down(root: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - _SKIPPED)
        if Path(folder) != root and "AGENTS.md" in files:
            found.append((Path(folder) / "AGENTS.md").relative_to(root).as_posix())
    return found
