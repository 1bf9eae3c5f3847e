"""Keys of the caller's tenant."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Admin
from codexsys_api.bodies import ChangeKey, CreateKey, read_json
from codexsys_api.context import Opened
from codexsys_api.described.refusals import headers, refuses
from codexsys_api.idempotency import promised, secret_of
from codexsys_api.routes.cursor import Cursor, Limit, before, cut, listed
from codexsys_api.routes.params import ONCE, IdempotencyKey, known_form, takes
from codexsys_api.serialize import KeyBody, KeyList, key_body
from codexsys_core.errors import NotFound
from codexsys_core.principal import ApiKey, Principal, Scope, hash_secret, key_text
from codexsys_wiring.platform import Platform

router = APIRouter(prefix="/api/v1/keys", tags=["keys"])


@router.get("", operation_id="listKeys", response_model=KeyList)
async def find(
    request: Request,
    caller: Admin,
    platform: Opened,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """List keys, newest first, revoked ones too; secrets are never shown again."""
    found = await platform.keys.keys(
        caller.tenant_id, limit=limit + 1, before=before(cursor, "key")
    )
    page, more = cut(found, limit)
    return listed(request, [key_body(each) for each in page], more)


@router.post(
    "",
    operation_id="createKey",
    status_code=201,
    response_model=KeyBody,
    responses={201: {"headers": headers("Location")}},
    openapi_extra=takes(CreateKey) | refuses(*ONCE),
)
async def create(
    request: Request, caller: Admin, platform: Opened, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a key; it is said once, or again to the same request with the same Idempotency-Key."""
    body = await read_json(request, CreateKey)
    key, secret = await new_key(platform, caller, body, key=idempotency_key)
    return JSONResponse(
        key_body(key, text=key_text(key.id, secret)),
        status_code=201,
        headers={"Location": f"/api/v1/keys/{key.id}"},
    )


async def new_key(
    platform: Platform, principal: Principal, body: CreateKey, *, key: str | None = None
) -> tuple[ApiKey, str]:
    """Store a key and return it with its secret, or the one that was made with the same promise."""
    promise = promised(key, body, platform.secrets, about=(principal.key_id,))
    key_id = platform.ids.new("key")
    secret = secret_of(key_id, promise, platform.secrets)
    made = ApiKey(
        id=key_id,
        tenant_id=principal.tenant_id,
        name=body.name,
        secret_hash=hash_secret(secret),
        scope=Scope(body.scope),
        created_at=platform.clock.now(),
    )
    stored = await platform.keys.add_key(made, promise)
    if stored.id != key_id:
        return stored, secret_of(stored.id, promise, platform.secrets)
    return made, secret


@router.get("/{key_id}", operation_id="getKey", response_model=KeyBody)
async def show(key_id: str, caller: Admin, platform: Opened) -> Response:
    """Show a key without its secret."""
    key = await platform.keys.key(known_form(key_id, "key"))
    if key is None or key.tenant_id != caller.tenant_id:
        raise NotFound("There is no such key.", code="key_not_found")
    return JSONResponse(key_body(key))


@router.patch(
    "/{key_id}",
    operation_id="updateKey",
    response_model=KeyBody,
    openapi_extra=takes(ChangeKey),
)
async def change(request: Request, key_id: str, caller: Admin, platform: Opened) -> Response:
    """Change a key's name or scope; the very next request with it is held to that."""
    wanted = known_form(key_id, "key")
    body = await read_json(request, ChangeKey)
    key = await platform.keys.change(
        wanted, tenant_id=caller.tenant_id, name=body.name, scope=body.scope and Scope(body.scope)
    )
    return JSONResponse(key_body(key))


@router.delete("/{key_id}", operation_id="revokeKey", status_code=204)
async def revoke(key_id: str, caller: Admin, platform: Opened) -> Response:
    """Make a key useless at once."""
    await platform.keys.revoke(known_form(key_id, "key"), tenant_id=caller.tenant_id)
    return Response(status_code=204)
