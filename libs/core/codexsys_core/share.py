"""Links that show one task to whoever has them, until they expire or are revoked."""

from datetime import datetime
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.idempotency import Idempotency

Part = Literal["status", "logs", "diff", "report", "prompt", "conversation"]
DEFAULT_PARTS: tuple[Part, ...] = ("status", "logs", "diff", "report")


class Share(BaseModel):
    """A share link as stored; its token is shown once."""

    model_config = ConfigDict(frozen=True)

    id: str
    task_id: str
    tenant_id: str
    token_hash: str
    parts: tuple[Part, ...] = DEFAULT_PARTS
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class ShareStore(Protocol):
    """Share links."""

    async def add(self, share: Share, idempotency: Idempotency | None = None) -> Share:
        """Insert a link; with a known key the one that was made with it comes back."""

    async def by_token(self, token_hash: str) -> Share | None:
        """Find a link, expired and revoked ones too."""

    async def of_task(
        self, task_id: str, *, tenant_id: str, limit: int = 100, before: str | None = None
    ) -> list[Share]:
        """Return a task's links, newest first, from the one before this id on."""

    async def revoke(self, share_id: str, *, tenant_id: str) -> None:
        """End a link at once; idempotent; `NotFound` for another tenant's."""
