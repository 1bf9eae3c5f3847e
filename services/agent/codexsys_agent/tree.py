"""Whether the workspace is as it was: told from its files' names, times and sizes, without reading them."""

import hashlib
import os
from pathlib import Path


def tree_mark(code: Path) -> str:
    """A mark that is another one once a file below the folder was written, made or removed."""
    mark = hashlib.sha256()
    folders = [str(code)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in listed:
            if entry.name == ".git":
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            else:
                mark.update(
                    f"{entry.path}\0{status.st_mtime_ns} {status.st_size} {status.st_mode}\0".encode(
                        errors="surrogateescape"
                    )
                )
    return mark.hexdigest()
