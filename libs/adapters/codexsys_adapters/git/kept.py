"""Finished bases beside a mirror: the same commit again costs a copy of files and starts no program."""

import json
import os
import secrets
import shutil
from pathlib import Path

from codexsys_core.source import Base

MOST = 3
_NOTE = "base.json"


class KeptBases:
    """The last few bases of one mirror, by commit. Whoever changes them holds the mirror alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, commit: str, into: Path) -> Base | None:
        """Copy a kept base to `into` (must not exist); None when it is not kept."""
        kept = self._folder / commit
        try:
            note = json.loads((kept / _NOTE).read_text())
        except FileNotFoundError:
            return None
        shutil.copytree(kept / "git", into)
        os.utime(kept / _NOTE)
        return Base(commit=commit, tree=note["tree"])

    def keep(self, base: Base, made: Path) -> None:
        """Keep a copy of what was made, in place of the one that was not used for longest."""
        draft = self._folder / f"draft-{secrets.token_hex(8)}"
        try:
            shutil.copytree(made, draft / "git")
            (draft / _NOTE).write_text(json.dumps({"tree": base.tree}))
            draft.rename(self._folder / base.commit)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._forget()

    def _forget(self) -> None:
        notes = sorted(self._folder.glob(f"*/{_NOTE}"), key=lambda note: note.stat().st_mtime)
        for note in notes[:-MOST]:
            shutil.rmtree(note.parent)
