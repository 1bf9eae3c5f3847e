"""What lets a client send a request again without having it done again."""

from pydantic import BaseModel, ConfigDict


class Idempotency(BaseModel):
    """A client's promise that two requests are one. Kept 24 h, by tenant."""

    model_config = ConfigDict(frozen=True)

    key: str
    fingerprint: str
    """sha256 of the canonical request."""
