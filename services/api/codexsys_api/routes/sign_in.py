"""Sign-in by key or by a link, and sign-out."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from codexsys_api.auth import COOKIE, Sessions, principal_of_key
from codexsys_api.bodies import JSON_BYTES
from codexsys_api.context import Opened
from codexsys_api.forms import read_form
from codexsys_api.routes.browser import Signed, go, html, signed_in, text
from codexsys_core.errors import Forbidden, Unauthorized
from codexsys_core.principal import Scope

router = APIRouter(include_in_schema=False)


@router.get("/")
async def root(visitor: Signed) -> Response:
    """Go to the tasks, or to the sign-in page."""
    del visitor
    return go("/tasks")


@router.get("/sign-in")
async def ask(request: Request) -> Response:
    """Ask for a key."""
    return html(request.app.state.pages.sign_in(None))


@router.post("/sign-in")
async def sign_in(request: Request, platform: Opened) -> Response:
    """Begin a session with a key."""
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        raise Forbidden("This form is from another site.", code="csrf")
    async with read_form(request, JSON_BYTES) as form:
        key = text(form, "key").strip()
    try:
        principal = await principal_of_key(platform, key)
    except Unauthorized as error:
        return html(request.app.state.pages.sign_in(error.message), 401)
    return signed_in(request, principal)


@router.get("/sign-in/{token}")
async def follow(request: Request, token: str) -> Response:
    """Begin a session with a one-time link."""
    sessions: Sessions = request.app.state.sessions
    principal = await sessions.follow(token)
    if principal is None:
        said = "This link was used already or is too old. Sign in with a key."
        return html(request.app.state.pages.sign_in(said), 401)
    return signed_in(request, principal)


@router.post("/sign-out")
async def sign_out(request: Request, visitor: Signed) -> Response:
    """End the session in this browser."""
    async with visitor.form(request, needed=Scope.READ):
        answer = go("/sign-in")
    answer.delete_cookie(COOKIE)
    return answer
