"""The requests that come most often, answered before the framework's machinery: a poll, and a submit as JSON.

Finding a route and solving its dependencies costs more than all that a poll needs. The routes stay
where they are: they describe the address, and answer whatever has more to it.
"""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from codexsys_api.auth import bearer, has_key, writer
from codexsys_api.bodies import CreateTask, media_type, read_json
from codexsys_api.problems import refusal
from codexsys_api.routes import tasks
from codexsys_api.showing import Showing
from codexsys_api.submit.submitter import Submitter
from codexsys_core.errors import PlatformError

_SUBMITTED = tasks.router.prefix
_POLLED = re.compile(re.escape(tasks.router.prefix) + r"/(task_[0-9a-z]{26})")
_ROUTES = {getattr(route, "endpoint", None): route for route in tasks.router.routes}
"""What metrics count them as."""

Answer = Callable[[Request], Awaitable[Response]]


class Hot:
    """Pure ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a poll or a submit; pass everything else on."""
        request = Request(scope, receive) if scope["type"] == "http" else None
        answering = _answering(request) if request is not None else None
        if request is None or answering is None:
            await self._app(scope, receive, send)
            return
        try:
            answer = await answering(request)
        except PlatformError as error:
            answer = refusal(request, error)
        await answer(scope, receive, send)


def _answering(request: Request) -> Answer | None:
    """Return what answers the request here, if anything does."""
    scope = request.scope
    if scope["query_string"]:
        return None
    if scope["method"] == "GET" and _POLLED.fullmatch(scope["path"]):
        scope["route"] = _ROUTES[tasks.show]
        return _poll
    if (
        scope["method"] == "POST"
        and scope["path"] == _SUBMITTED
        and media_type(request) == "application/json"
    ):
        scope["route"] = _ROUTES[tasks.create]
        return _submit
    return None


async def _poll(request: Request) -> Response:
    state = request.app.state
    showing: Showing = state.showing
    task_id = request.scope["path"].rpartition("/")[2]
    seen = showing.foresee(task_id) if has_key(request) else None
    caller = await bearer(request, state.platform)
    look = await showing.look(task_id, caller.tenant_id, state.base_url, seen=seen)
    return look.answer(request.headers.get("if-none-match"))


async def _submit(request: Request) -> Response:
    state = request.app.state
    submitter: Submitter = state.submitter
    caller = await writer(await bearer(request, state.platform))
    body = await read_json(request, CreateTask)
    key = request.headers.get("idempotency-key")
    task = await submitter.create(caller, body, key=key)
    return await tasks.accepted(task, state.platform, state.base_url)
