"""The text files of a workspace in which tests are looked for."""

import os
from collections.abc import Iterator
from pathlib import Path

_LARGEST = 4 << 20
_PASSED_OVER = {".git", "node_modules", "__pycache__", "site-packages", "vendor", "target"}


def texts(code: Path, endings: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    """Give files with such an ending, and what is in them; links and what is no text are passed over."""
    for folder, folders, files in os.walk(code):
        folders[:] = sorted(name for name in folders if name not in _PASSED_OVER)
        for name in sorted(files):
            file = Path(folder) / name
            if not name.endswith(endings) or file.is_symlink():
                continue
            try:
                if file.stat().st_size <= _LARGEST:
                    yield file, file.read_bytes().decode()
            except (OSError, ValueError):
                continue
