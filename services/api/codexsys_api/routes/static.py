"""The stylesheet and the scripts of the pages: a closed list of files."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from codexsys_api.pages import STATIC
from codexsys_core.errors import NotFound

router = APIRouter(include_in_schema=False)
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_FILES = {path.name: path for path in STATIC.iterdir() if path.suffix in _TYPES}


@router.get("/static/{name}")
async def static(request: Request, name: str) -> Response:
    """Send one of the files; a browser that has it already is told so."""
    path = _FILES.get(name)
    if path is None:
        raise NotFound("There is no such file.", code="not_found")
    answer = FileResponse(
        path,
        media_type=_TYPES[path.suffix],
        headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"},
        stat_result=path.stat(),
    )
    if request.headers.get("if-none-match") == answer.headers["etag"]:
        return Response(status_code=304, headers={"ETag": answer.headers["etag"]})
    return answer
