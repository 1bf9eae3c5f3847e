"""What both clients know of zips that go to the object store directly."""

import hashlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import override

from codexsys_client.errors import ApiError
from codexsys_client.types import Upload

DIRECT_BYTES = 16 << 20
"""Zips of this size on do not pass through the API."""
Progress = Callable[[int, int], None]
"""Is told how many bytes were sent, and of how many."""


class Watched(io.FileIO):
    """A file that tells how far it was read."""

    def __init__(self, path: Path, progress: Progress | None) -> None:
        super().__init__(path, "rb")
        self._progress = progress
        self._size = size_of(path)

    @override
    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(-1 if size is None else size) or b""
        if piece and self._progress is not None:
            self._progress(self.tell(), self._size)
        return piece


def key_of(file: Path, idempotency_key: str | None) -> str | None:
    """Return the key of this file's upload: the same for the same task and content, and no other's."""
    if idempotency_key is None:
        return None
    with file.open("rb") as opened:
        content = hashlib.file_digest(opened, "sha256").hexdigest()
    return "upload-" + hashlib.sha256(f"{content} {idempotency_key}".encode()).hexdigest()


def size_of(file: Path) -> int:
    """Return how large it is."""
    return file.stat().st_size


def must_fit(file: Path, upload: Upload) -> None:
    """Raise what the platform would say once all was sent."""
    most = upload["max_bytes"]
    if size_of(file) > most:
        said = {"title": "Content Too Large", "detail": f"The zip is larger than {most:,} bytes."}
        raise ApiError(413, {"code": "too_large", **said})


def made_of(task: Mapping[str, Any], upload_id: str) -> dict[str, Any]:
    """Return the create body of a task whose zip was sent."""
    return {**task, "source": {"zip": {"upload_id": upload_id}}}
