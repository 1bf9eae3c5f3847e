"""Addresses whose names are kept for what comes later: refused clearly, never ignored."""

from fastapi import APIRouter

from codexsys_api.auth import Caller
from codexsys_core.errors import Invalid

router = APIRouter(prefix="/api/v1", include_in_schema=False)
_NAMES = (
    "sources",
    "credentials",
    "endpoints",
    "schedules",
    "deliveries",
    "audit",
    "hooks",
)
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


async def not_yet(caller: Caller) -> None:
    """Say that it comes later."""
    del caller
    raise Invalid("This is not available yet.", code="not_available_yet")


for _name in _NAMES:
    router.add_api_route(f"/{_name}", not_yet, methods=_METHODS)
    router.add_api_route(f"/{_name}/{{rest:path}}", not_yet, methods=_METHODS)
