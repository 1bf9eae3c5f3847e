"""The request that comes most often, answered before the framework's machinery: a poll.

Finding a route and solving its dependencies costs more than all that a poll needs. The routes stay
where they are: they describe the address, and answer whatever has more to it than a poll.
"""

import re

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from codexsys_api.auth import bearer
from codexsys_api.problems import refusal
from codexsys_api.routes import tasks
from codexsys_core.errors import PlatformError

_POLLED = re.compile(re.escape(tasks.router.prefix) + r"/(task_[0-9a-z]{26})")
_ROUTE = next(
    route for route in tasks.router.routes if getattr(route, "endpoint", None) is tasks.show
)
"""What metrics count it as."""


class Hot:
    """Pure ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a poll; pass everything else on."""
        polled = (
            _POLLED.fullmatch(scope["path"])
            if scope["type"] == "http" and scope["method"] == "GET" and not scope["query_string"]
            else None
        )
        if polled is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = _ROUTE
        request = Request(scope, receive)
        state = scope["app"].state
        try:
            caller = await bearer(request, state.platform)
            look = await state.showing.look(polled[1], caller.tenant_id, state.base_url)
            answer = look.answer(request.headers.get("if-none-match"))
        except PlatformError as error:
            answer = refusal(request, error)
        await answer(scope, receive, send)
