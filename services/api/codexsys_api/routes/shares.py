"""Share links: made, listed and revoked by their owner."""

from datetime import timedelta

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Caller, Writer
from codexsys_api.bodies import CreateShare, read_json
from codexsys_api.context import Address, Opened
from codexsys_api.routes.params import TaskId, known_form, takes
from codexsys_api.serialize import ShareBody, ShareList, share_body
from codexsys_core.errors import NotFound
from codexsys_core.principal import Principal, hash_secret, new_secret
from codexsys_core.share import Share
from codexsys_wiring.platform import Platform

router = APIRouter(prefix="/api/v1", tags=["shares"])


@router.post(
    "/tasks/{task_id}/shares",
    operation_id="createShare",
    status_code=201,
    response_model=ShareBody,
    openapi_extra=takes(CreateShare),
)
async def create(
    request: Request, task_id: TaskId, caller: Writer, platform: Opened, base: Address
) -> Response:
    """Make a link that shows one task to whoever has it; its address is said once."""
    body = await read_json(request, CreateShare)
    share, token = await new_share(platform, caller, task_id, body)
    return JSONResponse(share_body(share, url=f"{base}/s/{token}"), status_code=201)


async def new_share(
    platform: Platform, principal: Principal, task_id: str, body: CreateShare
) -> tuple[Share, str]:
    """Store a link and return it with its token."""
    await platform.tasks.get(task_id, tenant_id=principal.tenant_id)
    token, now = new_secret(), platform.clock.now()
    share = Share(
        id=platform.ids.new("shr"),
        task_id=task_id,
        tenant_id=principal.tenant_id,
        token_hash=hash_secret(token),
        parts=tuple(dict.fromkeys(body.parts)),
        created_at=now,
        expires_at=now + timedelta(seconds=body.expires_in),
    )
    await platform.shares.add(share)
    return share, token


async def share_of_token(platform: Platform, token: str) -> Share:
    """Return the link that still works; others are not there."""
    share = await platform.shares.by_token(hash_secret(token))
    if share is None or share.revoked_at is not None or share.expires_at <= platform.clock.now():
        raise NotFound("This link does not work, or no longer does.", code="share_not_found")
    return share


@router.get("/tasks/{task_id}/shares", operation_id="listShares", response_model=ShareList)
async def find(task_id: TaskId, caller: Caller, platform: Opened) -> Response:
    """List a task's links, newest first."""
    await platform.tasks.get(task_id, tenant_id=caller.tenant_id)
    found = await platform.shares.of_task(task_id, tenant_id=caller.tenant_id)
    return JSONResponse({"items": [share_body(each) for each in found], "next_cursor": None})


@router.delete("/shares/{share_id}", operation_id="revokeShare", status_code=204)
async def revoke(share_id: str, caller: Writer, platform: Opened) -> Response:
    """End a link at once."""
    share_id = known_form(share_id, "share")
    await platform.shares.revoke(share_id, tenant_id=caller.tenant_id)
    return Response(status_code=204)
