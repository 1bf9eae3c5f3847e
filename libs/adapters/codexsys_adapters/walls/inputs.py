"""A phase's files, laid down where it reads them: each is whole at any moment, whoever else writes it, too."""

import secrets
from collections.abc import Mapping
from pathlib import Path


def lay_down(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder; drafts stand beside it, where the phase does not look."""
    folder.mkdir(exist_ok=True)
    for name, data in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = folder.with_name(f"{folder.name}~{secrets.token_hex(4)}")
        draft.write_bytes(data)
        draft.chmod(0o755 if data.startswith(b"#!") else 0o644)
        draft.replace(target)
