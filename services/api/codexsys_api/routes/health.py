"""Alive, ready, metrics, who am I, and what the API looks like."""

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from codexsys_api.auth import Caller
from codexsys_api.context import Opened
from codexsys_core.limits import Limits
from codexsys_wiring.health import readiness

router = APIRouter(tags=["platform"])


@router.get("/healthz", operation_id="healthz")
async def alive() -> Response:
    """Say that the process lives."""
    return PlainTextResponse("ok\n")


@router.get("/readyz", operation_id="readyz")
async def ready(platform: Opened) -> Response:
    """Ask every part whether it answers."""
    return await readiness(platform)


@router.get("/metrics", operation_id="metrics")
async def metrics() -> Response:
    """Give the metrics in Prometheus' text format."""
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/openapi.json", include_in_schema=False)
@router.get("/api/v1/openapi.json", operation_id="openapi")
async def openapi(request: Request) -> Response:
    """Describe the API."""
    found: dict[str, Any] = request.app.openapi()
    return JSONResponse(found)


@router.get("/api/v1/me", operation_id="me")
async def me(caller: Caller) -> Response:
    """Say who is asking, and what a task gets unless it says otherwise."""
    return JSONResponse(
        {
            "tenant": {"id": caller.tenant_id},
            "key": {"id": caller.key_id, "name": caller.name},
            "limits": Limits().model_dump(mode="json"),
        }
    )
