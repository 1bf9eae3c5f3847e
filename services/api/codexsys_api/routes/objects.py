"""Serves the presigned links of the store in a folder."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from fastapi import APIRouter
from starlette.responses import Response, StreamingResponse

from codexsys_api.context import Opened
from codexsys_core.errors import NotFound

router = APIRouter(include_in_schema=False)


@router.get("/objects/{token}")
async def download(token: str, platform: Opened) -> Response:
    """Send an object as an attachment; the token in the address is the permission."""
    if platform.local_objects is None:
        raise NotFound("There is nothing at this address.")
    name, filename, content_type = platform.local_objects.verify(token)
    return await attachment(platform.objects.stream(name), filename, content_type)


async def attachment(
    pieces: AsyncIterator[bytes], filename: str, content_type: str
) -> StreamingResponse:
    """Send pieces as a file to save; one that is not there is found out before the answer begins."""
    first = await anext(pieces, b"")

    async def content() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(filename, safe='')}",
        "Cache-Control": "private, no-store",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Referrer-Policy": "no-referrer",
        "Content-Type": content_type,
    }
    return StreamingResponse(content(), headers=headers)
