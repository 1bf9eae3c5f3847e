"""Who is asking: a key for programs, a signed cookie for pages, a one-time link for the first visit."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import Depends, Request
from itsdangerous import BadData, URLSafeSerializer

from codexsys_api.context import Opened
from codexsys_api.problems import rate_headers
from codexsys_core.errors import Forbidden, RateLimited, Unauthorized
from codexsys_core.principal import (
    ApiKey,
    Principal,
    Scope,
    new_secret,
    parse_key,
    secret_matches,
)
from codexsys_core.rate import Rate
from codexsys_wiring.platform import Platform

COOKIE = "codexsys_session"
SESSION_SECONDS = 7 * 86_400
LINK_SECONDS = 15 * 60


async def principal_of_key(platform: Platform, text: str) -> Principal:
    """Return who a key belongs to; raises `Unauthorized`."""
    parsed = parse_key(text)
    key = await platform.keys.key(parsed[0]) if parsed else None
    if parsed is None or key is None or not secret_matches(parsed[1], key.secret_hash):
        raise Unauthorized(
            "This key is not known. Make one with: codexsys keys create", code="key_unknown"
        )
    if key.revoked_at is not None:
        raise Unauthorized(
            "This key was revoked. Make a new one with: codexsys keys create", code="key_revoked"
        )
    return _principal(key)


def _principal(key: ApiKey) -> Principal:
    return Principal(tenant_id=key.tenant_id, key_id=key.id, name=key.name, scope=key.scope)


def has_key(request: Request) -> bool:
    """Say whether a request comes with what could be a key."""
    text = request.headers.get("authorization", "").partition(" ")[2]
    return parse_key(text.strip()) is not None


async def bearer(request: Request, platform: Opened) -> Principal:
    """Return who a request's key belongs to, unless it asks too often."""
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise Unauthorized("Send your key as: Authorization: Bearer cdx_…", code="key_missing")
    principal = await principal_of_key(platform, text.strip())
    settings = platform.settings
    rate = Rate("key", settings.rate_per_minute, settings.rate_burst)
    await keep_to_rate(request, platform, principal.key_id, rate)
    return principal


async def keep_to_rate(request: Request, platform: Platform, who: str, rate: Rate) -> None:
    """Count a request; its answer says how many are left, and one too many raises `RateLimited`."""
    if not rate.per_minute:
        return
    left = await platform.rates.take(who, rate)
    if left.retry_after:
        raise RateLimited(
            f"This {rate.name} asks too often: {rate.per_minute:,} requests a minute, "
            f"{rate.burst:,} at once, are allowed.",
            retry_after=left.retry_after,
            policy=(rate.name, rate.burst, rate.window),
        )
    said = rate_headers(rate.name, rate.burst, rate.window, left.remaining)
    request.scope["rate_limit"] = [(n.lower().encode(), v.encode()) for n, v in said.items()]


async def writer(caller: Annotated[Principal, Depends(bearer)]) -> Principal:
    """Return a caller who may change things."""
    caller.must(Scope.WRITE)
    return caller


async def admin(caller: Annotated[Principal, Depends(bearer)]) -> Principal:
    """Return a caller who may manage keys."""
    caller.must(Scope.ADMIN)
    return caller


Caller = Annotated[Principal, Depends(bearer)]
Writer = Annotated[Principal, Depends(writer)]
Admin = Annotated[Principal, Depends(admin)]
NEEDS: dict[Callable[..., Any], Scope] = {
    bearer: Scope.READ,
    writer: Scope.WRITE,
    admin: Scope.ADMIN,
}
"""What the dependencies ask for, for the description."""


class Sessions:
    """Signs and reads cookies, CSRF tokens and sign-in links; the key behind each is asked every time."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._cookies = _signer(platform, "session")
        self._csrf = _signer(platform, "csrf")
        self._used: dict[str, datetime] = {}

    def cookie(self, principal: Principal) -> str:
        """Return the value of a new session's cookie."""
        until = self._platform.clock.now() + timedelta(seconds=SESSION_SECONDS)
        return str(self._cookies.dumps([principal.key_id, until.timestamp(), new_secret()]))

    async def principal(self, cookie: str | None) -> Principal | None:
        """Return who a cookie belongs to, None for an old or false one, or one of a revoked key."""
        try:
            key_id, until, _ = self._cookies.loads(cookie or "")
        except BadData:
            return None
        if self._platform.clock.now().timestamp() >= until:
            return None
        return await self._of_key_id(key_id)

    async def _of_key_id(self, key_id: str) -> Principal | None:
        key = await self._platform.keys.key(key_id)
        if key is None or key.revoked_at is not None:
            return None
        return _principal(key)

    def csrf(self, cookie: str) -> str:
        """Return the token that each form of this session carries."""
        return str(self._csrf.dumps(cookie.rpartition(".")[2]))

    def check_csrf(self, cookie: str, token: str) -> None:
        """Raise `Forbidden` unless the form came from a page of this session."""
        try:
            good = self._csrf.loads(token) == cookie.rpartition(".")[2]
        except BadData:
            good = False
        if not good:
            raise Forbidden(
                "This form is from another session. Go back, reload the page and send it again.",
                code="csrf",
            )

    async def follow(self, token: str) -> Principal | None:
        """Return who a sign-in link belongs to, once; None when it is used, old or false."""
        try:
            key_id, until, nonce = _signer(self._platform, "sign-in").loads(token)
        except BadData:
            return None
        now = self._platform.clock.now()
        self._used = {each: end for each, end in self._used.items() if end > now}
        if now.timestamp() >= until or nonce in self._used:
            return None
        self._used[nonce] = now + timedelta(seconds=LINK_SECONDS)
        return await self._of_key_id(key_id)


def sign_in_link(platform: Platform, *, key_id: str, base_url: str) -> str:
    """Return a link that signs in as the owner of a key: once, within 15 minutes."""
    until = platform.clock.now() + timedelta(seconds=LINK_SECONDS)
    token = _signer(platform, "sign-in").dumps([key_id, until.timestamp(), new_secret()])
    return f"{base_url}/sign-in/{token!s}"


def _signer(platform: Platform, purpose: str) -> URLSafeSerializer:
    return URLSafeSerializer(platform.secret_key, salt=f"codexsys-{purpose}")
