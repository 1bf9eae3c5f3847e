"""The tenant and the key that `codexsys up` makes for whoever starts it."""

import json
import os
from dataclasses import dataclass

from codexsys_cli.connection import CLIENT_FILE
from codexsys_core.errors import Conflict
from codexsys_core.principal import (
    ApiKey,
    Scope,
    Tenant,
    hash_secret,
    key_text,
    new_secret,
    parse_key,
    secret_matches,
)
from codexsys_wiring.platform import Platform

DEFAULT_TENANT = "default"


@dataclass(frozen=True)
class Account:
    """A key that works, and its id."""

    key_id: str
    key: str


async def ensure_account(platform: Platform, url: str) -> Account:
    """Return this user's key, made on first start, and keep it with the address for client commands."""
    path = platform.settings.data_dir / CLIENT_FILE
    account = await _known(platform, path.read_text() if path.exists() else "{}")
    if account is None:
        tenant = await ensure_tenant(platform, DEFAULT_TENANT)
        account = await make_key(platform, tenant, "up")
    draft = path.with_suffix(f".{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps({"url": url, "key": account.key}))
    draft.rename(path)
    return account


async def ensure_tenant(platform: Platform, name: str) -> Tenant:
    """Return the tenant of this name; make it if there is none."""
    found = await platform.keys.tenant_named(name)
    if found is not None:
        return found
    tenant = Tenant(id=platform.ids.new("ten"), name=name, created_at=platform.clock.now())
    try:
        await platform.keys.add_tenant(tenant)
    except Conflict:  # another process was faster
        found = await platform.keys.tenant_named(name)
        if found is None:
            raise
        return found
    return tenant


async def make_key(
    platform: Platform, tenant: Tenant, name: str, scope: Scope = Scope.ADMIN
) -> Account:
    """Make a key."""
    secret = new_secret()
    key = ApiKey(
        id=platform.ids.new("key"),
        tenant_id=tenant.id,
        name=name,
        secret_hash=hash_secret(secret),
        scope=scope,
        created_at=platform.clock.now(),
    )
    await platform.keys.add_key(key)
    return Account(key_id=key.id, key=key_text(key.id, secret))


async def _known(platform: Platform, kept: str) -> Account | None:
    try:
        text = str(json.loads(kept).get("key", ""))
    except (json.JSONDecodeError, AttributeError):
        return None
    parsed = parse_key(text)
    key = await platform.keys.key(parsed[0]) if parsed else None
    if parsed is None or key is None or key.revoked_at is not None:
        return None
    return Account(key_id=key.id, key=text) if secret_matches(parsed[1], key.secret_hash) else None
