"""The AGENTS.md files that hold for a folder, root first, 32 KiB in all."""

import os
from pathlib import Path

_LIMIT = 32_768
_NAMES = ("AGENTS.override.md", "AGENTS.md")
_NESTED_SHOWN = 30
_SKIPPED = {".git", "node_modules", ".venv", "venv"}


def project_instructions(root: Path, cwd: Path | None = None) -> str:
    """The chain from the root to cwd, and the names of those further down."""
    cwd = cwd or root
    left = _LIMIT
    parts = []
    for folder in _chain(root, cwd):
        text = _first_of(folder)[:left]
        if text.strip():
            left -= len(text)
            name = folder.relative_to(root).as_posix()
            parts.append(f"## AGENTS.md of {'the root' if name == '.' else name}\n{text.strip()}")
    nested = _nested(cwd)
    if nested:
        listed = ", ".join(nested[:_NESTED_SHOWN])
        parts.append(f"Read the nearest of these before you change a file near it: {listed}")
    return "\n\n".join(parts)


def _chain(root: Path, cwd: Path) -> list[Path]:
    steps = cwd.relative_to(root).parts
    return [root.joinpath(*steps[:count]) for count in range(len(steps) + 1)]


def _first_of(folder: Path) -> str:
    for name in _NAMES:
        file = folder / name
        if file.is_file() and not file.is_symlink():
            with file.open(encoding="utf-8", errors="replace") as text:
                return text.read(_LIMIT)
    return ""


def _nested(cwd: Path) -> list[str]:
    found = []
    for folder, folders, files in os.walk(cwd):
        folders[:] = sorted(set(folders) - _SKIPPED)
        if Path(folder) != cwd and "AGENTS.md" in files:
            found.append((Path(folder) / "AGENTS.md").relative_to(cwd).as_posix())
    return found
