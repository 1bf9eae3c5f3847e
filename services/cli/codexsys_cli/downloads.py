"""Files of a task, written to a folder of the user's."""

from pathlib import Path

from codexsys_cli.output import fail


def inside(folder: Path, name: str) -> Path:
    """Return where a file goes; a name that leads out of the folder is refused."""
    target = (folder / name).resolve()
    if not target.is_relative_to(folder.resolve()):
        fail(f"The platform named a file {name!r} that would land outside {folder}")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target
