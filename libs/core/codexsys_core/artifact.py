"""Files that a task leaves, and the object store that keeps them."""

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.errors import Invalid
from codexsys_core.growing import Growing

CODE_BUCKET = "codexsys-code"
LOGS_BUCKET = "codexsys-logs"
BUCKETS = (CODE_BUCKET, LOGS_BUCKET)


def split_name(name: str) -> tuple[str, str]:
    """Return an object's bucket and key, or raise `Invalid` for one that escapes its bucket."""
    bucket, _, key = name.partition("/")
    parts = key.split("/")
    odd = any(part in {"", ".", ".."} or len(part.encode()) > 240 for part in parts)
    if bucket not in BUCKETS or odd or "\\" in name or not name.isprintable():
        raise Invalid("That is not the name of an object.", code="bad_object_name")
    return bucket, key


class Artifact(BaseModel):
    """A named file of a task; `object` is `<bucket>/<key>`."""

    model_config = ConfigDict(frozen=True)

    name: str
    object: str
    size: int
    sha256: str
    content_type: str = "text/plain; charset=utf-8"


class Link(BaseModel):
    """A presigned, short-lived way to an object."""

    model_config = ConfigDict(frozen=True)

    url: str
    expires_at: datetime


class UploadForm(BaseModel):
    """A presigned, short-lived way to put one object in place: a multipart POST.

    It is sent with these fields first and the content last, as the part `file`.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    fields: dict[str, str]
    expires_at: datetime


class UploadForms(Protocol):
    """Lets somebody without a key of the store write one object; satisfied by object stores."""

    origin: str
    """Scheme and host of all forms' addresses; empty where it is the API's own."""

    async def form(self, name: str, *, most_bytes: int, until: datetime) -> UploadForm:
        """Return a form for exactly this object, of 1 to `most_bytes` bytes. Signed here, by nobody asked."""

    async def take(self, name: str, into: str) -> int:
        """Copy what is at `name` now, whole, to another name, and return its size.

        No form of `name` writes there. `NotFound` when nothing was sent; `Unavailable`, and nothing
        copied, when it is sent anew at this moment.
        """


class ArtifactStore(Protocol):
    """Which objects a task's result consists of; rows are written by `AttemptStore.end`."""

    async def of_task(self, task_id: str) -> list[Artifact]:
        """Return a terminal task's artifacts by name."""


class ObjectStore(Protocol):
    """Objects by `<bucket>/<key>`. Keys that escape their bucket are `Invalid`.

    Raises `NotFound`, and `Unavailable` when the store does not answer. Writes are atomic: an
    object is there whole or not at all.
    """

    async def put(
        self,
        name: str,
        data: bytes | Path | Growing,
        *,
        content_type: str = "application/octet-stream",
        sha256: str = "",
    ) -> tuple[int, str]:
        """Store and return (size, sha256); who knows the hash gives it, and it is not made again.

        Of a growing file nothing is there before it is released; `GivenUp`, and nothing ever, when it
        is not.
        """

    async def get(self, name: str) -> bytes:
        """Return a whole small object."""

    def stream(self, name: str) -> AsyncIterator[bytes]:
        """Yield an object in pieces."""

    async def fetch(self, name: str, into: Path) -> None:
        """Write an object to a file."""

    async def delete(self, name: str) -> None:
        """Remove; no error when it is not there."""

    async def names(self, prefix: str) -> list[str]:
        """Return the names of objects that start so."""

    async def link(
        self, name: str, *, filename: str, content_type: str, seconds: int = 900
    ) -> Link:
        """Return a presigned GET that a browser saves as an attachment."""

    async def ready(self) -> None:
        """Raise `Unavailable` unless a one-byte object can be written, read and removed."""
