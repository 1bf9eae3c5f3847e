"""Share links: made, listed and revoked by their owner."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, suppress
from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Caller, Writer, keep_to_rate
from codexsys_api.bodies import CreateShare, read_json
from codexsys_api.context import Address, Opened
from codexsys_api.described.refusals import refuses
from codexsys_api.idempotency import promised, secret_of
from codexsys_api.routes.cursor import Cursor, Limit, before, cut, listed
from codexsys_api.routes.params import ONCE, IdempotencyKey, TaskId, known_form, takes
from codexsys_api.serialize import ShareBody, ShareList, share_body
from codexsys_core.errors import NotFound
from codexsys_core.principal import Principal, hash_secret
from codexsys_core.rate import Rate
from codexsys_core.share import Share
from codexsys_wiring.platform import Platform

router = APIRouter(prefix="/api/v1", tags=["shares"])


@router.post(
    "/tasks/{task_id}/shares",
    operation_id="createShare",
    status_code=201,
    response_model=ShareBody,
    openapi_extra=takes(CreateShare) | refuses(*ONCE),
)
async def create(
    request: Request,
    task_id: TaskId,
    caller: Writer,
    platform: Opened,
    base: Address,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make a link that shows one task to whoever has it; its address is said once."""
    body = await read_json(request, CreateShare)
    share, token = await new_share(platform, caller, task_id, body, key=idempotency_key)
    return JSONResponse(share_body(share, url=f"{base}/s/{token}"), status_code=201)


async def new_share(
    platform: Platform,
    principal: Principal,
    task_id: str,
    body: CreateShare,
    *,
    key: str | None = None,
) -> tuple[Share, str]:
    """Store a link and return it with its token, or the one that was made with the same key."""
    await platform.tasks.get(task_id, tenant_id=principal.tenant_id)
    promise = promised(key, body, platform.secrets, about=(task_id, principal.key_id))
    share_id, now = platform.ids.new("shr"), platform.clock.now()
    token = secret_of(share_id, promise, platform.secrets)
    share = Share(
        id=share_id,
        task_id=task_id,
        tenant_id=principal.tenant_id,
        token_hash=hash_secret(token),
        parts=tuple(dict.fromkeys(body.parts)),
        created_at=now,
        expires_at=now + timedelta(seconds=body.expires_in),
    )
    stored = await platform.shares.add(share, promise)
    if stored.id != share_id:
        return stored, secret_of(stored.id, promise, platform.secrets)
    return share, token


async def share_of_token(request: Request, platform: Platform, token: str) -> Share:
    """Return the link that still works and is not used too often; others are not there."""
    share = await _that_works(platform, hash_secret(token))
    settings = platform.settings
    rate = Rate("link", settings.share_rate_per_minute, settings.share_rate_burst)
    await keep_to_rate(request, platform, share.id, rate)
    return share


async def _that_works(platform: Platform, token_hash: str) -> Share:
    share = await platform.shares.by_token(token_hash)
    if share is None or share.revoked_at is not None or share.expires_at <= platform.clock.now():
        raise NotFound("This link does not work, or no longer does.", code="share_not_found")
    return share


async def while_it_works(
    platform: Platform, share: Share, pieces: AsyncIterator[bytes]
) -> AsyncGenerator[bytes, None]:
    """Pass on what a link shows, piece by piece; once it is revoked or over, no piece more.

    Then a file breaks off, so that nobody takes half of it for the whole.
    """
    async for piece in pieces:
        await _that_works(platform, share.token_hash)
        yield piece


async def followed_while_it_works(
    platform: Platform, share: Share, told: AsyncGenerator[bytes, None]
) -> AsyncGenerator[bytes, None]:
    """Pass on a stream in the same way; it just ends, and whoever comes back for more is refused."""
    async with aclosing(told):
        with suppress(NotFound):
            async for piece in while_it_works(platform, share, told):
                yield piece


@router.get("/tasks/{task_id}/shares", operation_id="listShares", response_model=ShareList)
async def find(
    request: Request,
    task_id: TaskId,
    caller: Caller,
    platform: Opened,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """List a task's links, newest first, also those that work no more; addresses are never shown again."""
    await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    found = await platform.shares.of_task(
        task_id, tenant_id=caller.tenant_id, limit=limit + 1, before=before(cursor, "shr")
    )
    page, more = cut(found, limit)
    return listed(request, [share_body(each) for each in page], more)


@router.delete("/shares/{share_id}", operation_id="revokeShare", status_code=204)
async def revoke(share_id: str, caller: Writer, platform: Opened) -> Response:
    """End a link at once."""
    share_id = known_form(share_id, "share")
    await platform.shares.revoke(share_id, tenant_id=caller.tenant_id)
    return Response(status_code=204)
