"""Who owns things, who is asking, and the keys that prove it."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from codexsys_core.errors import Forbidden
from codexsys_core.idempotency import Idempotency

_KEY = re.compile(r"cdx_([0-9a-z]{26})_([A-Za-z0-9_-]{32,64})")


class Scope(StrEnum):
    """What a key may do; each may do what those before it may."""

    READ = "read"
    """Look at everything but keys."""
    WRITE = "write"
    """Make, answer, cancel, share, change and remove, too."""
    ADMIN = "admin"
    """And manage keys."""

    def covers(self, needed: "Scope") -> bool:
        """Say whether this is enough."""
        order = list(Scope)
        return order.index(self) >= order.index(needed)


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
    scope: Scope

    def must(self, needed: Scope) -> None:
        """Raise `Forbidden` unless the key's scope is enough."""
        if not self.scope.covers(needed):
            raise Forbidden(
                f"This needs a key of scope {needed}; this one is of scope {self.scope}.",
                code="scope_too_low",
            )


class ApiKey(BaseModel):
    """A key as stored: the secret itself is shown once and never kept."""

    model_config = ConfigDict(frozen=True)

    id: str
    tenant_id: str
    name: str
    secret_hash: str
    scope: Scope = Scope.ADMIN
    created_at: datetime
    revoked_at: datetime | None = None


class TenantStore(Protocol):
    """Tenants. Their names are unique (`Conflict`)."""

    async def add_tenant(self, tenant: Tenant) -> None:
        """Insert a tenant."""

    async def tenant(self, tenant_id: str) -> Tenant | None:
        """Return a tenant."""

    async def first_tenant(self) -> Tenant | None:
        """Return the tenant that was made before all others."""

    async def tenant_named(self, name: str) -> Tenant | None:
        """Find a tenant by its name."""


class KeyStore(Protocol):
    """Keys. Another tenant's key is `NotFound` wherever the tenant is named."""

    async def add_key(self, key: ApiKey, idempotency: Idempotency | None = None) -> ApiKey:
        """Insert a key; with a known promise the one that was made with it comes back."""

    async def key(self, key_id: str) -> ApiKey | None:
        """Find a key by id, revoked ones too."""

    async def keys(
        self, tenant_id: str, *, limit: int = 100, before: str | None = None
    ) -> list[ApiKey]:
        """List a tenant's keys, newest first, from the one before this id on."""

    async def change(
        self, key_id: str, *, tenant_id: str, name: str | None = None, scope: Scope | None = None
    ) -> ApiKey:
        """Change what is given and return the key; the next request with it is held to that."""

    async def revoke(self, key_id: str, *, tenant_id: str) -> None:
        """Make a key useless from now on."""


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
