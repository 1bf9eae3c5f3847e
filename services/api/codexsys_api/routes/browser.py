"""What all pages share: the session behind a cookie, checked forms, safe headers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from codexsys_api.auth import COOKIE, SESSION_SECONDS, Sessions
from codexsys_api.bodies import JSON_BYTES
from codexsys_api.context import Opened
from codexsys_api.forms import Form, read_form
from codexsys_api.pages import HEADERS, PageContext, Pages, csp
from codexsys_core.principal import Principal, Scope


class SignInNeeded(Exception):
    """There is no session: the visitor goes to the sign-in page."""


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page, with what renders it."""

    principal: Principal
    tenant: str
    """Its name."""
    cookie: str
    sessions: Sessions
    pages: Pages
    path: str

    @property
    def context(self) -> PageContext:
        """Return what every page says about its visitor."""
        who = self.principal
        return PageContext(
            principal_name=who.name,
            csrf=self.sessions.csrf(self.cookie),
            tenant=self.tenant,
            path=self.path,
            admin=who.scope.covers(Scope.ADMIN),
        )

    @asynccontextmanager
    async def form(
        self, request: Request, most: int = JSON_BYTES, *, needed: Scope = Scope.WRITE
    ) -> AsyncIterator[Form]:
        """Read a form that came from a page of this session, of somebody who may send it."""
        self.principal.must(needed)
        async with read_form(request, most) as form:
            self.sessions.check_csrf(self.cookie, text(form, "csrf"))
            yield form


async def visitor_of(request: Request, platform: Opened) -> Visitor:
    """Return whose session it is; raises `SignInNeeded`."""
    sessions: Sessions = request.app.state.sessions
    cookie = request.cookies.get(COOKIE, "")
    principal = await sessions.principal(cookie)
    if principal is None:
        raise SignInNeeded
    tenant = await platform.keys.tenant(principal.tenant_id)
    name = tenant.name if tenant else principal.tenant_id
    pages: Pages = request.app.state.pages
    visitor = Visitor(principal, name, cookie, sessions, pages, request.url.path)
    request.state.seen_as = visitor.context  # a refusal is a page for its visitor, too
    return visitor


Signed = Annotated[Visitor, Depends(visitor_of)]


def text(form: Form, name: str) -> str:
    """Return a text field of a form, empty where there is none."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def html(content: str, status: int = 200, *, store: str = "") -> Response:
    """Send a page; `store` is another origin that its scripts may send a zip to."""
    headers = {**HEADERS, "Content-Security-Policy": csp(store)}
    return HTMLResponse(content, status_code=status, headers=headers)


def go(path: str) -> RedirectResponse:
    """Send the browser elsewhere, with GET."""
    return RedirectResponse(path, status_code=303, headers={"Cache-Control": "no-store"})


def signed_in(request: Request, principal: Principal) -> Response:
    """Begin a session."""
    answer = go("/tasks")
    sessions: Sessions = request.app.state.sessions
    answer.set_cookie(
        COOKIE,
        sessions.cookie(principal),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="lax",
        secure=request.app.state.base_url.startswith("https:"),
    )
    return answer


def install(app: FastAPI) -> None:
    """Send visitors without a session to the sign-in page."""

    async def sign_in(_request: Request, _error: Exception) -> Response:
        return go("/sign-in")

    app.add_exception_handler(SignInNeeded, sign_in)
