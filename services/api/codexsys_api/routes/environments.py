"""Environments of the caller's tenant."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from codexsys_api.auth import Caller, Writer
from codexsys_api.bodies import CreateEnvironment, read_json, read_object
from codexsys_api.context import Opened
from codexsys_api.described.refusals import headers, refuses
from codexsys_api.environments import (
    EnvironmentBody,
    EnvironmentList,
    Environments,
    environment_body,
)
from codexsys_api.routes.cursor import Cursor, Limit, before, cut, listed
from codexsys_api.routes.params import ONCE, IdempotencyKey, known_form, takes
from codexsys_core.named_environment import NamedEnvironment

router = APIRouter(prefix="/api/v1/environments", tags=["environments"])


@router.post(
    "",
    operation_id="createEnvironment",
    status_code=201,
    response_model=EnvironmentBody,
    responses={201: {"headers": headers("Location")}},
    openapi_extra=takes(CreateEnvironment) | refuses("environment_exists", *ONCE),
)
async def create(
    request: Request,
    caller: Writer,
    platform: Opened,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Make an environment; its setup variables are never shown again."""
    body = await read_json(request, CreateEnvironment)
    made = await Environments(platform).create(caller, body, idempotency_key)
    return JSONResponse(
        _shown(made), status_code=201, headers={"Location": f"/api/v1/environments/{made.id}"}
    )


@router.get("", operation_id="listEnvironments", response_model=EnvironmentList)
async def find(
    request: Request,
    caller: Caller,
    platform: Opened,
    name: Annotated[
        str | None, Query(max_length=100, description="Only the one so called.")
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Response:
    """List environments, newest first."""
    found = await platform.environments.find(
        tenant_id=caller.tenant_id,
        limit=limit + 1,
        before=before(cursor, "env"),
        name=name,
    )
    page, more = cut(found, limit)
    return listed(request, [_shown(each) for each in page], more)


@router.get("/{environment_id}", operation_id="getEnvironment", response_model=EnvironmentBody)
async def show(environment_id: str, caller: Caller, platform: Opened) -> Response:
    """Show an environment, of its setup variables the names."""
    wanted = known_form(environment_id, "environment")
    return JSONResponse(_shown(await platform.environments.get(wanted, tenant_id=caller.tenant_id)))


@router.patch(
    "/{environment_id}",
    operation_id="updateEnvironment",
    response_model=EnvironmentBody,
    openapi_extra=takes(CreateEnvironment, optional=True)
    | refuses("environment_exists", "environment_busy"),
)
async def change(
    request: Request, environment_id: str, caller: Writer, platform: Opened
) -> Response:
    """Change what is given and nothing else (a JSON merge patch): null clears a field or a variable."""
    wanted = known_form(environment_id, "environment")
    patch = await read_object(request)
    return JSONResponse(_shown(await Environments(platform).update(caller, wanted, patch)))


@router.delete("/{environment_id}", operation_id="deleteEnvironment", status_code=204)
async def remove(environment_id: str, caller: Writer, platform: Opened) -> Response:
    """Remove an environment; tasks that were made with it keep their copy."""
    wanted = known_form(environment_id, "environment")
    await platform.environments.delete(wanted, tenant_id=caller.tenant_id)
    return Response(status_code=204)


def _shown(named: NamedEnvironment) -> dict[str, Any]:
    return environment_body(named).model_dump(mode="json")
