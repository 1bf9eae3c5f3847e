"""Zips that are sent to the object store directly, and the store of who may use which."""

from datetime import datetime, timedelta
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.artifact import CODE_BUCKET
from codexsys_core.errors import FieldError, Invalid
from codexsys_core.idempotency import Idempotency

SENT = f"{CODE_BUCKET}/uploads/"
POINTER = "/source/zip/upload_id"
"""Where a task names its upload."""
FORM_SECONDS = 3600
"""How long a form takes a file: as long as the slowest may need to begin."""
USABLE = timedelta(days=1)
"""How long a task can be made of what was sent."""
MOST_UNUSED = 100
"""Of a tenant: each may hold a zip for a day."""
MOST_A_DAY = 1000
"""With those that were refused or given up: their forms may have been filled again."""
FORGOTTEN_SECONDS = (USABLE + timedelta(hours=1)).total_seconds()
"""Later than the last use, which may still be copying."""


class Upload(BaseModel):
    """A place for one zip, which becomes one task."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant_id: str
    created_by: str
    """Id of the key that asked for it."""
    filename: str = "code.zip"
    created_at: datetime
    task_id: str | None = None
    """The task that was made of it."""

    @property
    def object(self) -> str:
        """Return where the form puts the file."""
        return f"{SENT}{self.tenant_id}/{self.id}"

    @property
    def form_until(self) -> datetime:
        """Return until when a file can be sent."""
        return self.created_at + timedelta(seconds=FORM_SECONDS)

    def must_be_usable(self, now: datetime) -> None:
        """Raise `Invalid` for one that is used or old."""
        if self.task_id is not None:
            raise used(self.task_id)
        if now >= self.created_at + USABLE:
            raise _wrong(
                "upload_expired",
                "This upload is older than a day. Ask for a new one and send the zip again.",
            )

    def not_sent(self, now: datetime) -> Invalid:
        """Return what to say when there is no file at its place."""
        if now >= self.form_until:
            said = "No zip was sent for this upload while it could be. Ask for a new one."
            return _wrong("upload_expired", said)
        said = "The zip of this upload was not sent yet. POST it to the upload's url first."
        return _wrong("upload_missing", said)


def used(task_id: str) -> Invalid:
    """Return what to say of an upload that was used."""
    said = f"A task was made of this upload: {task_id}. Ask for a new upload for another one."
    return _wrong("upload_used", said)


def unknown() -> Invalid:
    """Return what to say of another tenant's, or none."""
    return _wrong("upload_not_found", "There is no such upload.")


def _wrong(code: str, said: str) -> Invalid:
    return Invalid(said, code=code, fields=[FieldError(POINTER, said)])


class UploadStore(Protocol):
    """Rows of uploads; `TaskStore.add` marks one used in the transaction that makes its task."""

    async def add(self, upload: Upload, idempotency: Idempotency | None = None) -> Upload:
        """Insert it; with a known idempotency key what was made with it comes back instead.

        `Invalid(code="idempotency_mismatch")` when the key was for something else;
        `RateLimited(code="uploads_full")` when the tenant has `MOST_UNUSED` that no task was made of,
        which were neither refused nor given up, or `MOST_A_DAY` with these.
        """

    async def get(self, upload_id: str, *, tenant_id: str) -> Upload | None:
        """Return one; None for another tenant's, one that was given up, or none."""

    async def refuse(self, upload_id: str, *, tenant_id: str) -> None:
        """Note that its zip was no good: it stays usable, and is none of those of which there may be few."""

    async def give_up(self, upload_id: str, *, tenant_id: str) -> None:
        """Make it unusable for good; its object is removed by whoever asks, and again before it is forgotten.

        `NotFound` as `get` has it; `Conflict(code="upload_used")` when a task was made of it.
        """

    async def old(self, *, after_seconds: float, limit: int) -> list[Upload]:
        """Return those that were asked for longer ago, used or not, the oldest first."""

    async def forget(self, upload_id: str) -> None:
        """Remove a row; its object is gone by then."""
