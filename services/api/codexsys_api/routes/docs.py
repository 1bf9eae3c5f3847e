"""The reference of the API as a page; nothing is loaded from elsewhere."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from codexsys_api.described.page import STYLESHEET
from codexsys_api.routes.browser import html

router = APIRouter(include_in_schema=False)


@router.get("/docs")
@router.get("/api/v1/docs")
async def docs(request: Request) -> Response:
    """Show every operation, with examples and refusals."""
    return html(await asyncio.to_thread(request.app.reference))


@router.get("/docs/reference.css")
async def stylesheet() -> Response:
    """Send the page's own rules."""
    return FileResponse(STYLESHEET, media_type="text/css", headers={"Cache-Control": "max-age=300"})
