"""Answers the presigned links and forms of the store in a folder."""

from collections.abc import AsyncIterator
from urllib.parse import quote

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from codexsys_api.context import Opened
from codexsys_api.forms import read_form
from codexsys_api.received import Received, zip_of
from codexsys_core.errors import Invalid, NotFound

router = APIRouter(include_in_schema=False)


@router.get("/objects/{token}")
async def download(token: str, platform: Opened) -> Response:
    """Send an object as an attachment; the token in the address is the permission."""
    if platform.local_objects is None:
        raise NotFound("There is nothing at this address.")
    name, filename, content_type = platform.local_objects.verify(token)
    return await attachment(platform.objects.stream(name), filename, content_type)


@router.post("/objects/{token}", status_code=204)
async def upload(token: str, request: Request, platform: Opened) -> Response:
    """Take an object; the token in the address says which, and how large it may be."""
    if platform.local_objects is None:
        raise NotFound("There is nothing at this address.")
    name, most = platform.local_objects.verify_form(token)
    async with read_form(request, most) as form:
        file = form.get("file")
        if not isinstance(file, Received):
            raise Invalid("Send the content as the part `file`.", code="bad_multipart")
        zip_ = zip_of(file, most)
        await platform.objects.put(name, zip_.path, sha256=zip_.sha256)
    return Response(status_code=204)


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
