"""Keys of the caller's tenant."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Caller
from codexsys_api.bodies import CreateKey, read_json
from codexsys_api.context import Opened
from codexsys_api.routes.params import known_form, takes
from codexsys_api.serialize import KeyBody, KeyList, key_body
from codexsys_core.principal import ApiKey, hash_secret, key_text, new_secret

router = APIRouter(prefix="/api/v1/keys", tags=["keys"])


@router.get("", operation_id="listKeys", response_model=KeyList)
async def find(caller: Caller, platform: Opened) -> Response:
    """List keys, revoked ones too; secrets are never shown again."""
    found = await platform.keys.keys(caller.tenant_id)
    return JSONResponse({"items": [key_body(each) for each in found], "next_cursor": None})


@router.post(
    "",
    operation_id="createKey",
    status_code=201,
    response_model=KeyBody,
    openapi_extra=takes(CreateKey),
)
async def create(request: Request, caller: Caller, platform: Opened) -> Response:
    """Make a key; it is said once."""
    body = await read_json(request, CreateKey)
    secret = new_secret()
    key = ApiKey(
        id=platform.ids.new("key"),
        tenant_id=caller.tenant_id,
        name=body.name,
        secret_hash=hash_secret(secret),
        created_at=platform.clock.now(),
    )
    await platform.keys.add_key(key)
    return JSONResponse(key_body(key, text=key_text(key.id, secret)), status_code=201)


@router.delete("/{key_id}", operation_id="revokeKey", status_code=204)
async def revoke(key_id: str, caller: Caller, platform: Opened) -> Response:
    """Make a key useless at once."""
    await platform.keys.revoke(known_form(key_id, "key"), tenant_id=caller.tenant_id)
    return Response(status_code=204)
