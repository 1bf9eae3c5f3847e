"""What every request gets: an id, a log context, metrics, safe headers, and an answer when code fails."""

import re
import time
from functools import lru_cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from codexsys_api.problems import unexpected
from codexsys_core.ids import Ids

REQUESTS = Counter("codexsys_http_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "codexsys_http_request_seconds", "Time to the end of the answer.", ["method", "route"]
)
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TOKEN = re.compile(r"^(/(?:s|sign-in|objects)/)[^/]+")
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""What no answer is without; a page has a policy of its own."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observe:
    """Pure ASGI middleware."""

    def __init__(self, app: ASGIApp, *, ids: Ids) -> None:
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        scope["request_id"] = given if _GIVEN_ID.fullmatch(given) else self._ids.new("req")
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                given = {name for name, _ in message["headers"]}
                # A refusal names the limit that it is about itself.
                more = [*_SAFE, *scope.get("rate_limit", ())]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", scope["request_id"].encode()),
                    *(each for each in more if each[0] not in given),
                ]
            await send(message)

        began = time.perf_counter()
        with structlog.contextvars.bound_contextvars(request_id=scope["request_id"]):
            try:
                await self._app(scope, receive, note)
            except Exception:
                structlog.get_logger().exception("request failed", path=loggable(scope["path"]))
                if status:
                    raise  # half an answer is out: only a broken connection can still say so
                await unexpected(request)(scope, receive, note)
            finally:
                _count(scope, status, time.perf_counter() - began)


def loggable(path: str) -> str:
    """Return a path without what in it is a permission: tokens of share links, sign-in links and objects."""
    return _TOKEN.sub(r"\1…", path)


def _count(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = getattr(scope.get("route"), "path", "none")
    _answers(method, route, status).inc()
    _times(method, route).observe(seconds)


_answers = lru_cache(1024)(REQUESTS.labels)
_times = lru_cache(1024)(SECONDS.labels)
