"""A change as the platform knows it: two trees and the patch between them."""

from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict


class ChangedFile(BaseModel):
    """One path of a change."""

    model_config = ConfigDict(frozen=True)

    path: str
    mode: str
    blob: str
    status: str
    """`A`, `M`, `D` or `T` as git says it."""


class Patch(BaseModel):
    """A patch that was applied to the base in an index: `diff` is made from the two trees."""

    model_config = ConfigDict(frozen=True)

    tree: str
    diff: bytes
    files: list[ChangedFile]
    insertions: int = 0
    deletions: int = 0

    @property
    def empty(self) -> bool:
        """Say whether nothing changed."""
        return not self.files


class PatchRefused(Exception):
    """The patch does not apply or holds what is never taken (gitlinks, `.gitmodules`, `.git`)."""


class PatchBench(Protocol):
    """Applies hostile patches to a base in an index only; no file of a tree is written."""

    async def apply(self, base: Path, patch: bytes) -> Patch:
        """Apply to the bare git directory's base; raises `PatchRefused`. Objects stay in `base`."""

    async def archive(self, base: Path, tree: str, into: Path, *, most_bytes: int) -> None:
        """Write the tree as a zip to `into`; `TooLarge` when its files have more bytes than that."""

    async def read(self, base: Path, tree: str, path: str) -> bytes | None:
        """Return a file of a tree, None where there is none; `TooLarge` for more than is read."""

    async def paths(self, base: Path, tree: str) -> list[str]:
        """Return the paths of all files of a tree; `TooLarge` for more than are read."""

    async def pack(self, base: Path, into: Path) -> None:
        """Write the bare git directory as a tar.gz to `into`."""

    async def unpack(self, archive: Path, into: Path) -> None:
        """Make `into` (must not exist) the bare git directory again."""
