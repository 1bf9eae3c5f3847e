"""Alive, ready, metrics, who am I, and what the API looks like."""

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse, Response

from codexsys_api.auth import Caller
from codexsys_api.context import Opened
from codexsys_core.limits import Limits
from codexsys_core.principal import Scope
from codexsys_wiring.health import readiness

router = APIRouter(tags=["platform"])


class ReadyBody(BaseModel):
    """Whether requests can be answered, and what is wrong with which part."""

    ready: bool
    problems: dict[str, str]


class TenantShown(BaseModel):
    """The owner of what is made."""

    id: str


class KeyShown(BaseModel):
    """The key that asks."""

    id: str
    name: str
    scope: Scope


class MeBody(BaseModel):
    """Who is asking, and what a task gets unless it says otherwise."""

    tenant: TenantShown
    key: KeyShown
    limits: Limits


@router.get("/healthz", operation_id="healthz", response_class=PlainTextResponse)
async def alive() -> Response:
    """Say that the process lives."""
    return PlainTextResponse("ok\n")


@router.get(
    "/readyz",
    operation_id="readyz",
    response_model=ReadyBody,
    responses={503: {"model": ReadyBody, "description": "Not ready"}},
)
async def ready(platform: Opened) -> Response:
    """Ask every part whether it answers."""
    return await readiness(platform)


@router.get("/metrics", operation_id="metrics", response_class=PlainTextResponse)
async def metrics() -> Response:
    """Give the metrics in Prometheus' text format."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/openapi.json", include_in_schema=False)
@router.get("/api/v1/openapi.json", operation_id="openapi", response_model=dict[str, Any])
async def openapi(request: Request) -> Response:
    """Describe the API."""
    found: dict[str, Any] = request.app.openapi()
    return JSONResponse(found)


@router.get("/api/v1/me", operation_id="me", response_model=MeBody)
async def me(caller: Caller) -> Response:
    """Say who is asking, and what a task gets unless it says otherwise."""
    body = MeBody(
        tenant=TenantShown(id=caller.tenant_id),
        key=KeyShown(id=caller.key_id, name=caller.name, scope=caller.scope),
        limits=Limits(),
    )
    return JSONResponse(body.model_dump(mode="json"))
