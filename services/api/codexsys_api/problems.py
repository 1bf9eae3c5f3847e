"""Every refusal and failure as an RFC 9457 problem document."""

from collections.abc import Sequence
from http import HTTPStatus
from math import ceil
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from pydantic.json_schema import SkipJsonSchema
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from codexsys_api.pages import HEADERS, Pages
from codexsys_core.errors import (
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    NotFound,
    PlatformError,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
)

MEDIA_TYPE = "application/problem+json"
_STATUSES: dict[type[PlatformError], int] = {
    Invalid: 422,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    RateLimited: 429,
    Unavailable: 503,
}
_BY_CODE = {"bad_json": 400, "bad_multipart": 400, "media_type": 415}
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed"}


class Fault(BaseModel):
    """A field at fault, by JSON pointer into the body (or the name of a parameter)."""

    pointer: str
    detail: str


class Problem(BaseModel):
    """A refusal or a failure (RFC 9457); `code` is stable, `detail` is for a person."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[Fault] | SkipJsonSchema[None] = None


def status_of(error: PlatformError) -> int:
    """Return the HTTP status of an error."""
    return _BY_CODE.get(error.code) or _STATUSES.get(type(error)) or _by_parent(error)


def _by_parent(error: PlatformError) -> int:
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)


def document(
    request: Request, status: int, code: str, detail: str, fields: Sequence[FieldError] = ()
) -> dict[str, Any]:
    """Return the body of a problem."""
    found: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
        "request_id": request.scope.get("request_id", ""),
    }
    if fields:
        found["errors"] = [{"pointer": each.pointer, "detail": each.detail} for each in fields]
    return found


def of_error(request: Request, error: PlatformError) -> dict[str, Any]:
    """Return the problem of one of our errors; what is the platform's fault says nothing more."""
    status = status_of(error)
    said = error.message if status != HTTPStatus.INTERNAL_SERVER_ERROR else _OURS
    return document(request, status, error.code, said, error.fields)


_OURS = "The platform made an error. Try again; tell the operator the request id if it stays."


def respond(
    request: Request, problem: dict[str, Any], headers: dict[str, str] | None = None
) -> Response:
    """Send a problem as JSON, or as a page to a browser that looks at pages."""
    status = problem["status"]
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.startswith(("/api/", "/objects/")):
        pages: Pages = request.app.state.pages
        page = pages.error(problem, getattr(request.state, "seen_as", None))
        return HTMLResponse(page, status_code=status, headers=HEADERS | (headers or {}))
    return JSONResponse(problem, status_code=status, headers=headers, media_type=MEDIA_TYPE)


def invalid(error: ValidationError, code: str = "invalid") -> Invalid:
    """Turn what pydantic says into our words, a pointer for each field."""
    fields = [FieldError(pointer_of(each["loc"]), _said(each)) for each in error.errors()]
    return Invalid(
        f"{fields[0].pointer or 'The body'}: {fields[0].detail}", code=code, fields=fields
    )


OBJECT, TEXT = "(object)", "(text)"
"""Tags of what may be given in either form: they stand in pydantic's locations, not in the body."""


def pointer_of(location: Sequence[int | str]) -> str:
    """Return the JSON pointer of a location (RFC 6901)."""
    given = (part for part in location if part not in (OBJECT, TEXT))
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in given)
    return "".join(f"/{part}" for part in parts)


def _said(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "There is no such field."
    if error["type"] == "missing":
        return "This field is required."
    said = str(error["msg"]).removeprefix("Value error, ")
    return said[:1].upper() + said[1:] + ("" if said.endswith(".") else ".")


def refusal(request: Request, error: PlatformError) -> Response:
    """Answer with one of our errors."""
    problem = of_error(request, error)
    if problem["status"] == HTTPStatus.INTERNAL_SERVER_ERROR:
        structlog.get_logger().error("request failed", error=str(error))
    return respond(request, problem, _headers(error))


def install(app: FastAPI) -> None:
    """Let every error of the application be a problem."""

    async def ours(request: Request, error: Exception) -> Response:
        return refusal(request, cast("PlatformError", error))

    async def validation(request: Request, error: Exception) -> Response:
        fields = [
            FieldError(pointer_of(each["loc"][1:]), _said(each))
            for each in cast("RequestValidationError", error).errors()
        ]
        said = f"{fields[0].pointer}: {fields[0].detail}"
        return respond(request, document(request, 422, "invalid", said, fields))

    async def http(request: Request, error: Exception) -> Response:
        problem = cast("HTTPException", error)
        status, headers = problem.status_code, dict(problem.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = _allowed(request)
        code = _CODES.get(status, HTTPStatus(status).name.lower())
        said = _HTTP.get(status, str(problem.detail))
        return respond(request, document(request, status, code, said), headers)

    app.add_exception_handler(PlatformError, ours)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(HTTPException, http)


_HTTP = {
    404: "There is nothing at this address.",
    405: "This address does not take that method.",
}


def _allowed(request: Request) -> str:
    """Return the methods of all routes at this address, not of the first one alone."""
    path = request.url.path
    found = {
        method
        for route in request.app.state.addresses
        if route.path_regex.match(path)
        for method in route.methods
    }
    return ", ".join(sorted(found))


def unexpected(request: Request) -> Response:
    """Answer for an error that nobody foresaw."""
    return respond(request, document(request, 500, "internal", _OURS))


def rate_headers(name: str, most: int, seconds: float, left: int) -> dict[str, str]:
    """Return what is limited and what is left of it, as RateLimit header fields for HTTP say it."""
    window = f";w={ceil(seconds)}" if seconds else ""
    return {"RateLimit-Policy": f'"{name}";q={most}{window}', "RateLimit": f'"{name}";r={left}'}


def _headers(error: PlatformError) -> dict[str, str]:
    headers = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="codexsys"'
    if isinstance(error, RateLimited) and error.policy is not None:
        headers |= rate_headers(*error.policy, 0)
    if error.retry_after is not None or isinstance(error, Unavailable | RateLimited):
        headers["Retry-After"] = str(max(1, ceil(error.retry_after or 2)))
    return headers
