"""Who owns things, who is asking, and the keys that prove it."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import Protocol

from pydantic import BaseModel, ConfigDict

_KEY = re.compile(r"cdx_([0-9a-z]{26})_([A-Za-z0-9_-]{32,64})")


class Tenant(BaseModel):
    """An owner of tasks; nothing is shared between two."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    created_at: datetime


class Principal(BaseModel):
    """Who is asking, for every call."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    key_id: str
    name: str


class ApiKey(BaseModel):
    """A key as stored: the secret itself is shown once and never kept."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant_id: str
    name: str
    secret_hash: str
    created_at: datetime
    revoked_at: datetime | None = None


class KeyStore(Protocol):
    """Tenants and keys. Names of tenants are unique (`Conflict`)."""

    async def add_tenant(self, tenant: Tenant) -> None:
        """Insert a tenant."""

    async def tenant(self, tenant_id: str) -> Tenant | None:
        """Return a tenant."""

    async def first_tenant(self) -> Tenant | None:
        """Return the tenant that was made before all others."""

    async def tenant_named(self, name: str) -> Tenant | None:
        """Find a tenant by its name."""

    async def add_key(self, key: ApiKey) -> None:
        """Insert a key."""

    async def key(self, key_id: str) -> ApiKey | None:
        """Find a key by id, revoked ones too."""

    async def keys(self, tenant_id: str) -> list[ApiKey]:
        """List a tenant's keys, newest first."""

    async def revoke(self, key_id: str, *, tenant_id: str) -> None:
        """Make a key useless from now on; `NotFound` for another tenant's."""


def new_secret() -> str:
    """Return 256 random bits for a key or token."""
    return secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return what is stored of a random secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def key_text(key_id: str, secret: str) -> str:
    """Return the key as its owner writes it: `cdx_<id>_<secret>`."""
    return f"cdx_{key_id.removeprefix('key_')}_{secret}"


def parse_key(text: str) -> tuple[str, str] | None:
    """Return (key id, secret) of a well-formed key."""
    match = _KEY.fullmatch(text)
    return (f"key_{match[1]}", match[2]) if match else None


def secret_matches(secret: str, secret_hash: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(hash_secret(secret), secret_hash)
