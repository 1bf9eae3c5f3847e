"""Folders of tests that the users of sandboxes must get through."""

from pathlib import Path


def make_enterable(folder: Path) -> None:
    """Let others through to a folder, by what is closed on the way: nothing else is touched."""
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode & 0o7777 | 0o011)
